/* What ties SAs and policies to marks, xfrm interfaces and devices, as the kernel's attributes.
 * Private to the room. */
#ifndef KERNEL_XFRM_BINDING_H
#define KERNEL_XFRM_BINDING_H

#include <netlink/attr.h>
#include <netlink/msg.h>

#include "base/ipsec.h"

/* All: 0 or errno. Nothing is put for what is none. */
int xfrm_put_mark(struct nl_msg *msg, const struct ipsec_mark *mark);
int xfrm_put_interface(struct nl_msg *msg, uint32_t interface_id);
/* Mark, mark to be set, interface and device of an SA. */
int xfrm_put_sa_binding(struct nl_msg *msg, const struct ipsec_sa *sa);
/* The same as the kernel has told them (XFRMA_MAX + 1 attributes), for an SA that moves. */
int xfrm_put_binding_kept(struct nl_msg *msg, struct nlattr **attrs);

/* Those of an SA or policy that the kernel has told: what it must be named with, too. */
struct ipsec_mark xfrm_read_mark(struct nlattr **attrs);
uint32_t xfrm_read_interface(struct nlattr **attrs);

#endif
