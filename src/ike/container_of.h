/* From a member that a table, list or timer holds to the object that it lies in. Private. */
#ifndef IKE_CONTAINER_OF_H
#define IKE_CONTAINER_OF_H

#include <stddef.h>

#define container_of(pointer, type, member)                                                        \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))
#define container_of_const(pointer, type, member)                                                  \
	((const type *)(const void *)((const char *)(pointer)-offsetof(type, member)))

#endif
