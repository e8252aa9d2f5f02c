/* A kernel that answers queries with counters made from the SPI, when it is let. */
#ifndef SHARD_TEST_FAKE_KERNEL_H
#define SHARD_TEST_FAKE_KERNEL_H

#include "kernel/kernel.h"

extern bool fake_kernel_holds;        /* atomic: answers wait */
extern unsigned fake_kernel_queries;  /* atomic */
/* Of so many IKE SAs of each shard all counters are told at once; 0: it cannot do that. */
extern unsigned fake_kernel_tells;
extern unsigned fake_kernel_channels; /* how many more may be opened */

#endif
