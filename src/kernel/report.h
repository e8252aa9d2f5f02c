/* What a backend of an operating system says in the log when it is opened. Private to the room. */
#ifndef KERNEL_REPORT_H
#define KERNEL_REPORT_H

#include <stddef.h>

#include "crypto/algorithm.h"

/* Appends " NAME" for each bit n of `set` that is an algorithm of ESP. */
void report_names(char *text, size_t size, enum transform_type type, uint64_t set);
/* What an earlier run has left, if it has. */
void report_left_over(unsigned sas, unsigned policies);

#endif
