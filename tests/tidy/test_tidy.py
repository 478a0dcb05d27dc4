#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every rule of tidy.py finds a planted violation, where it is, and leaves good code alone."""

import os
import tempfile
import unittest

import tidy

SPDX = '/* SPDX-License-Identifier: BSD-2-Clause */\n'
HASH_SPDX = '# SPDX-License-Identifier: BSD-2-Clause\n'

PUBLIC = SPDX + '''
#include <stddef.h>

#include "api.h"

/**
 * stasis_topic_create() - make a topic
 * @name:  its name
 *
 * Ownership:  the caller gets one reference.
 * Threads:    any thread.
 * Progress:   as the allocator.
 * Return:     the topic.
 */
STASIS_API struct stasis_topic *
stasis_topic_create(const char *name);
'''

RING_H = SPDX + '''/* ring/ring.h
 *
 * Edges
 *   R1  store-release slot  push -> A1
 *   A1  load-acquire slot   take <- R1
 */
#include <stdatomic.h>

#include "base/alloc.h"
'''

RING_C = SPDX + '''
#include "ring/ring.h"

#include <stasis/topic.h>

void sti_push(struct sti_ring *ring)
{
	/* R1: pairs with A1. */
	atomic_store_explicit(&ring->slot, 1,
			      memory_order_release);
	ops->free(ring); /* free(), malloc() and printf() in a comment */
	log("malloc(%d)");
}

int sti_take(struct sti_ring *ring)
{
	__asm__ volatile("" ::: "memory");
	return atomic_load_explicit(&ring->slot, memory_order_acquire); /* A1: pairs with R1 */
}
'''

GOOD = {
    'README.md': '# A project\n',
    'meson.build': HASH_SPDX,
    'include/meson.build': HASH_SPDX + "'stasis/api.h', 'stasis/topic.h', 'stasis/x.h', "
                           "'stasis/compat/x.h'\n",
    'include/stasis/api.h': SPDX,
    'include/stasis/topic.h': PUBLIC,
    'lib/meson.build': HASH_SPDX + ', '.join(f"'{layer}/x.c'" for layer in tidy.LEVEL) +
                       ", 'base/alloc.c', 'map/map.c', 'ring/ring.c', 'sync/eventcount.c', "
                       "'sync/rcu.c', 'misc/x.c'\n",
    'lib/libstasis.map': HASH_SPDX + 'STASIS_0.1 {\n\tglobal:\n\t\tstasis_topic_create;\n'
                                     '\tlocal:\n\t\t*;\n};\n',
    'lib/base/alloc.c': SPDX + '#include <stdlib.h>\n\nvoid *p(void)\n{\n\treturn malloc(1);\n}\n',
    'lib/ring/ring.h': RING_H,
    'lib/ring/ring.c': RING_C,
    'lib/sync/rcu.c': SPDX + '#include <urcu/urcu-bp.h>\n',
    'lib/map/map.c': SPDX + '#include <urcu/rculfhash.h>\n#include "sync/rcu.h"\n',
    'lib/sync/eventcount.c': SPDX + '#include <ck_ec.h>\n',
    'bench/baseline.cc': SPDX + '#include <ck_ring.h>\n',
    'tools/run': '#!/bin/sh\n' + HASH_SPDX,
}


class TidyTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        for path, text in GOOD.items():
            self.write(path, text)

    def write(self, path, text):
        full = os.path.join(self.folder.name, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, 'w', encoding='utf-8') as stream:
            stream.write(text)

    def found(self):
        return [(path, line, rule) for path, line, rule, _ in tidy.check(self.folder.name)]

    def expect(self, rule, path, line, text):
        """Writes text to path; rule, and no other, must fire there and nowhere else."""
        self.write(path, text)
        self.assertEqual(self.found(), [(path, line, rule)])

    def expect_good(self, path, text):
        self.write(path, text)
        self.assertEqual(self.found(), [])

    def body(self, statement):
        """A file of lib/exec with one statement in a function, in line 4."""
        return SPDX + 'void f(void)\n{\n\t' + statement + '\n}\n'

    def test_good_tree(self):
        self.assertEqual(self.found(), [])

    def test_every_rule_is_tested(self):
        tests = {name[len('test_'):].split('_')[0] for name in dir(self)}
        self.assertEqual(set(tidy.RULES) - tests, set())

    # --- the tree ---

    def test_top(self):
        self.expect('top', 'notes', 1, 'hello\n')

    def test_top_allows_build_directories(self):
        os.makedirs(os.path.join(self.folder.name, 'debug', 'meson-private'))
        self.expect_good('debug/generated.c', 'no licence\n')

    def test_layer_upward(self):
        self.expect('layer', 'lib/base/x.c', 2, SPDX + '#include "ring/ring.h"\n')

    def test_layer_sideways(self):
        self.expect('layer', 'lib/stats/x.c', 2, SPDX + '#include "ring/ring.h"\n')

    def test_layer_downward_is_good(self):
        self.expect_good('lib/bus/x.c', SPDX + '#include "ring/ring.h"\n#include "bus/x.h"\n')

    def test_layer_unknown(self):
        self.expect('layer', 'lib/misc/x.c', 1, SPDX)

    def test_layer_relative(self):
        self.expect('layer', 'lib/bus/x.c', 2, SPDX + '#include "../ring/ring.h"\n')

    def test_layer_bare_name(self):
        self.expect('layer', 'lib/bus/x.c', 2, SPDX + '#include "x.h"\n')

    def test_layer_public_in_quotes(self):
        self.expect('layer', 'lib/bus/x.c', 2, SPDX + '#include "stasis/topic.h"\n')

    def test_layer_internal_in_brackets(self):
        self.expect('layer', 'lib/base/x.c', 2, SPDX + '#include <ring/ring.h>\n')

    def test_layer_internal_in_public(self):
        self.expect('layer', 'include/stasis/x.h', 2, SPDX + '#include "base/alloc.h"\n')

    def test_layer_internal_in_public_by_its_place(self):
        self.expect('layer', 'include/stasis/x.h', 2, SPDX + '#include "../../lib/ring/ring.h"\n')

    def test_layer_internal_in_public_in_brackets(self):
        self.expect('layer', 'include/stasis/x.h', 2, SPDX + '#include <base/alloc.h>\n')

    def test_layer_public_in_public_in_brackets(self):
        self.expect('layer', 'include/stasis/x.h', 2, SPDX + '#include <stasis/topic.h>\n')

    def test_layer_public_in_public_is_good(self):
        self.expect_good('include/stasis/compat/x.h', SPDX + '#include "../topic.h"\n')

    def test_layer_comment_is_good(self):
        self.expect_good('lib/base/x.c', SPDX + '/*\n#include "ring/ring.h"\n*/\n')

    def test_foreign_rcu(self):
        self.expect('foreign', 'lib/ring/x.c', 2, SPDX + '#include <urcu/urcu-bp.h>\n')

    def test_foreign_rcu_top_header(self):
        self.expect('foreign', 'tests/unit/x.c', 2, SPDX + '#include <urcu-bp.h>\n')

    def test_foreign_hash_table(self):
        self.expect('foreign', 'lib/cache/x.c', 2, SPDX + '#include <urcu/rculfhash.h>\n')

    def test_foreign_map_may_not_use_rcu_itself(self):
        self.expect('foreign', 'lib/map/x.c', 2, SPDX + '#include <urcu/urcu-bp.h>\n')

    def test_foreign_ck(self):
        self.expect('foreign', 'lib/exec/x.c', 2, SPDX + '#include <ck_ec.h>\n')

    def test_foreign_jemalloc(self):
        self.expect('foreign', 'lib/exec/x.c', 2, SPDX + '#include <jemalloc/jemalloc.h>\n')

    def test_columns(self):
        self.expect('columns', 'lib/exec/x.c', 2, SPDX + '/* ' + 'x' * 95 + ' */\n')

    def test_columns_tabs_count_eight(self):
        self.expect('columns', 'bench/x.cc', 2, SPDX + '\t' * 12 + '12345\n')

    def test_columns_hundred_characters_are_good(self):
        self.expect_good('lib/exec/x.c', SPDX + '/* ' + '—' * 94 + ' */\n')

    def test_length_file(self):
        self.expect('length', 'lib/exec/x.c', 701, SPDX + 'int x;\n' * 700)

    def test_length_file_limit_is_good(self):
        self.expect_good('lib/exec/x.c', SPDX + 'int x;\n' * 699)

    def test_length_function(self):
        self.expect('length', 'lib/exec/x.c', 3, SPDX + 'int f(void)\n{\n' + '\tx();\n' * 69 + '}\n')

    def test_length_function_limit_is_good(self):
        self.expect_good('lib/exec/x.c', SPDX + 'int f(void)\n{\n' + '\tx();\n' * 68 + '}\n')

    def test_length_class_is_good(self):
        self.expect_good('bench/x.cc', SPDX + 'class X : public Y\n{\n' + '\tint x;\n' * 69 + '};\n')

    def test_blank(self):
        self.expect('blank', 'lib/exec/x.c', 2, SPDX + 'int x; \n')

    def test_blank_no_newline(self):
        self.expect('blank', 'lib/exec/x.c', 2, SPDX + 'int x;')

    def test_leftover(self):
        for word in ('TO' 'DO', 'FIX' 'ME', 'X' 'XX'):
            self.expect('leftover', 'lib/exec/x.c', 2, SPDX + f'/* {word}: later */\n')

    def test_leftover_in_prose(self):
        self.expect('leftover', 'README.md', 1, 'TO' 'DO\n')

    def test_leftover_template_is_good(self):
        self.expect_good('tools/run', '#!/bin/sh\n' + HASH_SPDX + 'mktemp /tmp/x.XXXXXX\n')

    def test_licence(self):
        self.expect('licence', 'lib/exec/x.c', 1, 'int x;\n')

    def test_licence_of_a_script(self):
        self.expect('licence', 'tools/run', 1, '#!/bin/sh\necho\n')

    def test_listed_source(self):
        self.expect('listed', 'lib/exec/forgotten.c', 1, SPDX)

    def test_listed_header(self):
        self.expect('listed', 'include/stasis/forgotten.h', 1, SPDX)

    def test_listed_internal_header_is_good(self):
        self.expect_good('lib/exec/internal.h', SPDX)

    # --- lib/ ---

    def test_banned(self):
        for statement in ('printf("x");', 'fputs(s, stdout);', 'strcpy(a, b);', 'sprintf(a, b);',
                          'p = malloc(1);', 'p = calloc (1, 1);', 'free(p);', 'p = strdup(s);',
                          'volatile int x;', 'p = rcu_dereference(q);', 'assert(x);',
                          'atomic_store(&x, 1);', 'atomic_fetch_or(&x, 1);',
                          'atomic_compare_exchange_weak(&x, &y, 1);', 'strtok(s, " ");',
                          '__atomic_load_n(&x, __ATOMIC_ACQUIRE);', '__sync_synchronize();'):
            with self.subTest(statement):
                self.expect('banned', 'lib/exec/x.c', 4, self.body(statement))

    def test_banned_lookalikes_are_good(self):
        for statement in ('ops->free(p);', 'ops.malloc(1);', 'sti_free(p);', 'snprintf(a, 1, b);',
                          'stasis_assert(x);', 'static_assert(1, "x");', 'fprintf(stderr, "x");',
                          'puts_back(x);', 'atomic_init(&x, 1);', 's = "free(x)"; /* free(x) */',
                          'atomic_fetch_or_explicit(&x, 1, memory_order_relaxed);'):
            with self.subTest(statement):
                self.expect_good('lib/exec/x.c', self.body(statement))

    def test_banned_outside_lib_is_good(self):
        self.expect_good('tests/unit/x.c', self.body('printf("x"); free(p);'))

    def test_order(self):
        for name in ('acquire', 'release', 'acq_rel', 'seq_cst', 'consume'):
            self.expect('order', 'lib/exec/x.c', 4,
                        self.body(f'atomic_thread_fence(memory_order_{name});'))

    def test_order_comment_without_a_label(self):
        self.expect('order', 'lib/exec/x.c', 5,
                    self.body('/* orders things */\n\tatomic_thread_fence(memory_order_seq_cst);'))

    def test_order_label_too_far_away(self):
        text = RING_C.replace('A1: pairs with R1', 'pairs').replace(
            'int sti_take', '/* A1: pairs with R1 */\n\n\n\nint sti_take')
        self.write('lib/ring/ring.c', text)
        self.assertEqual([rule for _, _, rule in self.found()], ['order'])

    def test_order_relaxed_is_good(self):
        self.expect_good('lib/exec/x.c', self.body('atomic_load_explicit(&x, memory_order_relaxed);'))

    def test_order_long_comment_is_good(self):
        self.expect_good('lib/ring/ring.c', RING_C.replace(
            '/* R1: pairs with A1. */', '/* R1: a\n\t * b\n\t * c\n\t * d\n\t * e\n\t * f */'))

    def test_edges_row_without_code(self):
        self.expect('edges', 'lib/ring/ring.h', 7, RING_H.replace(
            ' */\n#include <stdatomic.h>', ' *   A2  load-acquire x  take <- R1\n */\n'))

    def test_edges_label_without_row(self):
        self.expect('edges', 'lib/ring/ring.c', 9, RING_C.replace('R1: pairs', 'R1, R2: pairs'))

    def test_edges_across_files_is_good(self):
        self.write('lib/ring/ring.h', RING_H.replace(
            ' */\n#include <stdatomic.h>', ' *   A2  load-acquire x  x.c <- R1\n */\n'))
        self.expect_good('lib/ring/x.c', self.body('x(); /* A2: pairs with R1 in ring.c */'))

    def test_edges_no_table(self):
        self.expect('edges', 'lib/exec/x.c', 4, self.body('x(); /* R1: before A1 */'))

    # --- the public interface ---

    def test_documentation(self):
        line = PUBLIC[:PUBLIC.index('STASIS_API')].count('\n') + 1
        for field in tidy.DOC_FIELDS:
            with self.subTest(field):
                self.expect('documentation', 'include/stasis/topic.h', line,
                            PUBLIC.replace(field, field.lower()))
        self.expect('documentation', 'include/stasis/topic.h', line,
                    PUBLIC.replace('Threads:', 'T').replace('Progress:', 'Threads:').replace(
                        ' T ', ' Progress: '))
        self.expect('documentation', 'include/stasis/topic.h', line,
                    PUBLIC.replace('/**', '/*'))
        self.expect('documentation', 'include/stasis/topic.h', line,
                    PUBLIC.replace('* stasis_topic_create()', '* stasis_topic_make()'))

    def test_exports_undeclared(self):
        self.expect('exports', 'lib/libstasis.map', 5, GOOD['lib/libstasis.map'].replace(
            '\tlocal', '\t\tstasis_publish;\n\tlocal'))

    def test_exports_twice(self):
        self.expect('exports', 'lib/libstasis.map', 5, GOOD['lib/libstasis.map'].replace(
            '\tlocal', '\t\tstasis_topic_create;\n\tlocal'))

    def test_exports_unlisted(self):
        self.expect('exports', 'include/stasis/topic.h',
                    PUBLIC[:PUBLIC.index('STASIS_API')].count('\n') + 1 + PUBLIC.count('\n'),
                    PUBLIC + PUBLIC.replace('topic_create', 'topic_make'))


if __name__ == '__main__':
    unittest.main()
