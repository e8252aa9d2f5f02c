/* The text of a report on its way to chunks. One thread. */
#ifndef SHARD_REPORT_TEXT_H
#define SHARD_REPORT_TEXT_H

#include "shard/shard.h"

#define REPORT_CHUNK_MAX 32768
#define REPORT_TEXT_MAX  (1024 * 1024) /* waiting at once: an IKE SA with thousands of Child SAs */

struct report_text {
	char *data;
	size_t len, size; /* len bytes wait */
	bool cut;         /* some was lost: memory, or REPORT_TEXT_MAX */
};

/* Up to REPORT_CHUNK_MAX of what waits, whole lines where there are any, as CHUNK mail; NULL when
 * memory is out. */
struct shard_mail *report_text_take(struct report_text *text);
void report_text_free(struct report_text *text);

#endif
