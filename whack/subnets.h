/* leftsubnets= and rightsubnets= of ipsec.conf: a connection for each pair of a left and a right
 * subnet, which share an IKE SA. */
#ifndef WHACK_SUBNETS_H
#define WHACK_SUBNETS_H

#include "config/keyvalue.h"

/* Of one section. */
#define SUBNETS_CONNECTIONS_MAX 4096

/* Called for each connection; false ends it. */
typedef bool subnets_visit(const char *name, const struct keyvalues *parameters, void *arg);

/* Has the section one of the two keywords? */
bool subnets_given(const struct keyvalues *parameters);
/* Each left subnet with each right one: "NAME/LxR", with L and R counted from 1 and NAME as an
 * alias. A side's own subnet= (or its host, if it has neither) is number 0. A list has commas or
 * spaces between its members, perhaps braces around it. False: `error` says what is wrong with a
 * list, or is empty if a visit has ended it. */
bool subnets_expand(const char *name, const struct keyvalues *parameters, subnets_visit *visit,
	void *arg, char *error, size_t error_size);

#endif
