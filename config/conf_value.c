/* The values of ipsec.conf's parameters that have a form of their own. */
#include "config/conf_file.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define FRACTION_DIGITS_MAX 9

bool conf_bool(const char *text, bool *out)
{
	static const char *const yes[] = {"yes", "true", "on", "y", "1"};
	static const char *const no[] = {"no", "false", "off", "n", "0"};
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
			*out = strcasecmp(text, yes[i]) == 0;
			return true;
		}
	}
	return false;
}

/* Digits at `*text`, at least one; passes them. */
static bool scan_digits(const char **text, unsigned long long *out)
{
	unsigned long long v = 0;
	const char *at = *text;
	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(v, 10ull, &v) ||
			__builtin_add_overflow(v, (unsigned long long)(*at - '0'), &v))
			return false;
	if (at == *text)
		return false;
	*text = at;
	*out = v;
	return true;
}

/* What follows the point, in units of 1/scale. */
static bool scan_fraction(const char **text, unsigned long long *out, unsigned long long *scale)
{
	*out = 0;
	*scale = 1;
	if (**text != '.')
		return true;
	const char *start = ++*text;
	if (!scan_digits(text, out) || *text - start > FRACTION_DIGITS_MAX)
		return false;
	for (long i = 0; i < *text - start; i++)
		*scale *= 10;
	return true;
}

bool conf_duration_ms(const char *text, unsigned default_unit_ms, unsigned long long *ms)
{
	static const struct {
		const char *name;
		unsigned long long us;
	} units[] = {
		{"us", 1},
		{"ms", 1000},
		{"s", 1000000},
		{"m", 60000000},
		{"h", 3600000000u},
		{"d", 86400000000u},
		{"w", 604800000000u},
	};
	unsigned long long whole, fraction, scale;
	if (!scan_digits(&text, &whole) || !scan_fraction(&text, &fraction, &scale))
		return false;
	unsigned long long unit_us = *text == '\0' ? default_unit_ms * 1000ull : 0;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcasecmp(text, units[i].name) == 0)
			unit_us = units[i].us;
	if (unit_us == 0)
		return false;
	unsigned __int128 us = (unsigned __int128)whole * unit_us +
			       ((unsigned __int128)fraction * unit_us + scale - 1) / scale;
	unsigned __int128 rounded = (us + 999) / 1000;
	if (rounded > ULLONG_MAX)
		return false;
	*ms = (unsigned long long)rounded;
	return true;
}

/* A number with one of the binary prefixes, behind which `suffix` follows. */
static bool scan_scaled(const char *text, const char *suffix, unsigned long long *out)
{
	static const char prefixes[] = "KMGTPE";
	unsigned long long v;
	if (!scan_digits(&text, &v))
		return false;
	if (*text != '\0') {
		const char upper = *text >= 'a' && *text <= 'z' ? (char)(*text - 'a' + 'A') : *text;
		const char *prefix = strchr(prefixes, upper);
		if (prefix == NULL || strcasecmp(text + 1, suffix) != 0 ||
			__builtin_mul_overflow(v, 1024ull << (10 * (prefix - prefixes)), &v))
			return false;
	}
	*out = v;
	return true;
}

bool conf_count(const char *text, unsigned long long *out)
{
	return scan_scaled(text, "i", out);
}

bool conf_bytes(const char *text, unsigned long long *out)
{
	return scan_scaled(text, "iB", out);
}

bool conf_percent(const char *text, unsigned *out)
{
	unsigned long long v;
	if (!scan_digits(&text, &v) || v > UINT_MAX || (*text != '\0' && strcmp(text, "%") != 0))
		return false;
	*out = (unsigned)v;
	return true;
}
