/* A directory for the files of one test. */
#ifndef TEST_DIR_H
#define TEST_DIR_H

#include <stddef.h>

struct test_dir {
	char path[64];
	char file[160]; /* path of what was written last */
};

void test_dir_make(struct test_dir *dir);
/* Returns dir->file. */
const char *test_dir_write(struct test_dir *dir, const char *name, const void *text, size_t len);
const char *test_dir_puts(struct test_dir *dir, const char *name, const char *text);
void test_dir_remove(struct test_dir *dir);

#endif
