/* The first byte says how to read the rest: ike=, esp=, ah=, or the body of an SA payload. */
#include "ike/proposal.h"
#include "message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void show(const struct proposal_list *list)
{
	char text[512], small[8];

	proposal_list_text(list, text, sizeof(text));
	proposal_list_text(list, small, sizeof(small));
	if (strnlen(text, sizeof(text)) == sizeof(text) ||
		strnlen(small, sizeof(small)) == sizeof(small))
		abort();
	proposal_list_first_ke(list);
	proposal_list_has_ke(list, 19);
	if (!proposal_list_equal(list, list))
		abort();
}

static struct proposal_list *parse(uint8_t form, const char *text, char *error, size_t error_size)
{
	if (form == 0)
		return proposal_parse_ike(text, error, error_size);
	return proposal_parse_child(text, form == 1, form % 3, error, error_size);
}

static void try_text(uint8_t form, const uint8_t *data, size_t size)
{
	char error[256] = "";
	char *text = strndup((const char *)data, size);
	struct proposal_list *list = parse(form, text, error, sizeof(error));

	if (list == NULL && error[0] == '\0')
		abort();
	if (list != NULL)
		show(list);
	proposal_list_unref(list);
	free(text);
}

static void try_payload(const uint8_t *data, size_t size)
{
	static struct proposal_list *list;
	char error[256] = "";

	if (list == NULL)
		list = calloc(1, sizeof(*list) + PROPOSALS_MAX * sizeof(list->proposals[0]));
	if (sa_payload_decode(bytes_of(data, size), list, PROPOSALS_MAX, error, sizeof(error)))
		show(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] % 8 == 7)
		try_payload(data + 1, size - 1);
	else
		try_text(data[0] % 8, data + 1, size - 1);
	return 0;
}
