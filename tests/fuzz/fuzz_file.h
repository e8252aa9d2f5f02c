/* Readers of files under a fuzzer: the input is a file in memory, and include finds nothing else.
 */
#ifndef FUZZ_FILE_H
#define FUZZ_FILE_H

#include <stddef.h>
#include <stdint.h>

/* A path to the input, the same for every call. */
const char *fuzz_file(const uint8_t *data, size_t size);

#endif
