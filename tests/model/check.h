/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.h - how the models state what must hold and what must happen
 *
 * CHECK(name, e)  e must hold here. `name` is a hidden byte of the model: it is always 0 and takes
 * no
 *                 room in the state, it is there so that a violation names itself in pan's output.
 * SEE(name, e)    some execution must get here with e true. A model whose interesting races never
 *                 happen proves nothing, so run-model.sh fails a verification that has not printed
 *                 every event. Costs no state: the flag lives outside the model.
 * BIT(n)          the n-th bit of a set kept in a byte.
 */
#define CHECK(name, e) assert(name || (e))

#define SEE(name, e)                                                       \
	if                                                                 \
	:: (e) -> c_code {                                                 \
		static int once;                                           \
		if (!once) { once = 1; printf("reached " #name "\n"); }    \
	}                                                                  \
	:: else                                                            \
	fi

#define BIT(n) (1 << (n))
