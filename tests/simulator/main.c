/* simulator [--seed FIRST] [--count N] [--rekeys | --mesh] [--verbose]: runs seeds and says which
 * broke what. */
#include "mesh.h"
#include "rekeys.h"
#include "scenario.h"

#include "base/log.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

#define GROUP 100 /* seeds a test point of the TAP output */

static int usage(const char *program)
{
	fprintf(stderr, "usage: %s [--seed FIRST] [--count N] [--rekeys | --mesh] [--verbose]\n",
		program);
	return 2;
}

static bool (*run)(uint64_t seed, bool verbose, struct tally *tally, char *failure,
	size_t failure_size) = scenario_run;

static bool run_group(
	const char *program, uint64_t first, uint64_t count, bool verbose, struct tally *tally)
{
	char failure[400];
	bool ok = true;

	for (uint64_t seed = first; seed < first + count; seed++) {
		if (run(seed, verbose, tally, failure, sizeof(failure)))
			continue;
		printf("# seed %llu: %s\n#   again: %s --seed %llu --count 1%s --verbose\n",
			(unsigned long long)seed, failure, program, (unsigned long long)seed,
			run == rekeys_run ? " --rekeys"
			: run == mesh_run ? " --mesh"
					  : "");
		ok = false;
	}
	return ok;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"seed", required_argument, 0, 's'},
		{"count", required_argument, 0, 'c'}, {"rekeys", no_argument, 0, 'r'},
		{"mesh", no_argument, 0, 'm'}, {"verbose", no_argument, 0, 'v'}, {0}};
	uint64_t first = 1, count = 1000, groups;
	struct tally tally = {0};
	bool verbose = false, ok = true;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 's')
			first = strtoull(optarg, NULL, 0);
		else if (option == 'c')
			count = strtoull(optarg, NULL, 0);
		else if (option == 'r')
			run = rekeys_run;
		else if (option == 'm')
			run = mesh_run;
		else if (option == 'v')
			verbose = true;
		else
			return usage(argv[0]);
	}
	urcu_qsbr_register_thread();
	groups = (count + GROUP - 1) / GROUP;
	printf("1..%llu\n", (unsigned long long)groups);
	for (uint64_t g = 0; g < groups; g++) {
		uint64_t from = first + g * GROUP, left = count - g * GROUP;
		bool good = run_group(argv[0], from, left < GROUP ? left : GROUP, verbose, &tally);

		printf("%sok %llu - seeds from %llu\n", good ? "" : "not ",
			(unsigned long long)g + 1, (unsigned long long)from);
		fflush(stdout);
		ok &= good;
	}
	printf("# %llu runs, %llu Child SAs up at their ends, %llu datagrams (%llu lost, %llu "
	       "corrupted), "
	       "%llu power failures, %llu rekeyings counted, %llu virtual seconds\n",
		(unsigned long long)tally.runs, (unsigned long long)tally.tunnels,
		(unsigned long long)tally.datagrams, (unsigned long long)tally.lost,
		(unsigned long long)tally.corrupted, (unsigned long long)tally.restarts,
		(unsigned long long)tally.rekeyings, (unsigned long long)tally.virtual_s);
	urcu_qsbr_unregister_thread();
	return ok ? 0 : 1;
}
