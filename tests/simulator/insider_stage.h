/* Two honest gateways with a tunnel, and an insider that one of them has a connection with. */
#ifndef SIMULATOR_INSIDER_STAGE_H
#define SIMULATOR_INSIDER_STAGE_H

#include "fixture.h"
#include "insider.h"

struct stage {
	struct fixture *f;
	struct world *world;
	struct insider *insider;
	struct node *node; /* the insider's victim: east, as responder; west, as initiator */
	struct connection *connection; /* the victim's, with the insider */
	struct world start;            /* to go back to */
	uint64_t dice;
};

void stage_set(struct stage *stage, bool against_initiator, uint64_t seed);
/* As stage_set leaves it, at less cost. */
void stage_reset(struct stage *stage);
void stage_clear(struct stage *stage);

#endif
