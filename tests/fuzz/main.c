/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c — the target without libFuzzer: inputs from files, folders or the standard input
 *
 *   fuzz-corpus [--help] [FILE | FOLDER]...
 *
 * With afl-clang-fast it runs many inputs per process.
 */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

#define INPUT_MAX ((size_t)1 << 20)

#ifdef __AFL_FUZZ_TESTCASE_LEN
#define AFL_RUNS 10000

__AFL_FUZZ_INIT();
#endif

static size_t n_run;

static int run_stream(FILE *stream, const char *name)
{
	uint8_t *bytes = malloc(INPUT_MAX);
	size_t n;

	if (bytes == NULL || stream == NULL) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		free(bytes);
		return 1;
	}
	n = fread(bytes, 1, INPUT_MAX, stream);
	LLVMFuzzerTestOneInput(bytes, n);
	n_run++;
	free(bytes);
	return 0;
}

static int run_file(const char *path)
{
	FILE *stream = fopen(path, "rb");
	int result;

	result = run_stream(stream, path);
	if (stream != NULL)
		fclose(stream);
	return result;
}

static int run_folder(const char *path)
{
	struct dirent **entries;
	int n = scandir(path, &entries, NULL, alphasort);
	int result = 0;

	if (n < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	for (int i = 0; i < n; i++) {
		char file[4096];

		snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			result |= run_file(file);
		free(entries[i]);
	}
	free(entries);
	return result;
}

static int run_path(const char *path)
{
	struct stat status;

	if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
		return run_folder(path);
	return run_file(path);
}

int main(int argc, char **argv)
{
	int result = 0;

	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		printf("usage: %s [FILE | FOLDER]...\n"
		       "Runs each input of the fuzz target once; without arguments the standard "
		       "input.\n", argv[0]);
		return 0;
	}
#ifdef __AFL_FUZZ_TESTCASE_LEN
	if (argc == 1) {
		const uint8_t *bytes = __AFL_FUZZ_TESTCASE_BUF;

		while (__AFL_LOOP(AFL_RUNS))
			LLVMFuzzerTestOneInput(bytes, (size_t)__AFL_FUZZ_TESTCASE_LEN);
		return 0;
	}
#endif
	if (argc == 1)
		result = run_stream(stdin, "standard input");
	for (int i = 1; i < argc; i++)
		result |= run_path(argv[i]);
	printf("%zu inputs\n", n_run);
	return result;
}
