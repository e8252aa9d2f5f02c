#include "test_dir.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void test_dir_make(struct test_dir *dir)
{
	snprintf(dir->path, sizeof(dir->path), "/tmp/config-test-XXXXXX");
	assert_non_null(mkdtemp(dir->path));
}

const char *test_dir_write(struct test_dir *dir, const char *name, const void *text, size_t len)
{
	snprintf(dir->file, sizeof(dir->file), "%s/%s", dir->path, name);
	FILE *f = fopen(dir->file, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	return dir->file;
}

const char *test_dir_puts(struct test_dir *dir, const char *name, const char *text)
{
	return test_dir_write(dir, name, text, strlen(text));
}

void test_dir_remove(struct test_dir *dir)
{
	DIR *d = opendir(dir->path);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		char path[512];
		snprintf(path, sizeof(path), "%s/%s", dir->path, e->d_name);
		if (e->d_name[0] != '.')
			unlink(path);
	}
	closedir(d);
	assert_int_equal(rmdir(dir->path), 0);
}
