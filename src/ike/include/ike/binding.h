/* What the SAs and policies of a connection are tied to in the Linux kernel, beside addresses:
 * marks, an interface of their own, a device that does ESP. Immutable once its connection is in a
 * catalogue, shared by reference count. */
#ifndef IKE_BINDING_H
#define IKE_BINDING_H

#include "base/ipsec.h"

struct connection;

#define BINDING_NAME_MAX 16 /* of a network interface, with its NUL (IFNAMSIZ) */

enum binding_device { BINDING_NO_DEVICE, BINDING_XFRM, BINDING_VTI };
enum nic_offload { NIC_OFFLOAD_NO, NIC_OFFLOAD_CRYPTO, NIC_OFFLOAD_PACKET, NIC_OFFLOAD_AUTO };

/* An address of the interface itself with the length of its net's prefix. Unset: none. */
struct interface_address {
	struct ip_address address;
	uint8_t prefix_len;
};

struct binding_mark {
	struct ipsec_mark mark; /* mask 0: none */
	bool unique; /* its value is a number of its own for each connection or instance */
};

struct connection_binding {
	uint32_t references; /* atomic */
	/* Without an xfrm interface: that packets must bear. With one: that they are given. */
	struct binding_mark in, out;
	enum binding_device device;
	char name[BINDING_NAME_MAX]; /* of the device */
	uint32_t interface_id;       /* BINDING_XFRM; never 0 */
	bool vti_routing, vti_shared;
	uint32_t mtu;                        /* of the device; 0: the kernel's choice */
	struct interface_address address[2]; /* of the device, when left, right is us */
	enum nic_offload offload;
};

/* Zeroed, one reference; NULL when memory is out. */
struct connection_binding *binding_new(void);
struct connection_binding *binding_ref(const struct connection_binding *binding);
void binding_unref(const struct connection_binding *binding);

/* Fill in what ties an SA of the connection, or a policy, to something. `reqid`: the instance's
 * own. */
void binding_of_sa(const struct connection *c, uint32_t reqid, struct ipsec_sa *sa);
void binding_of_policy(const struct connection *c, uint32_t reqid, struct ipsec_policy *policy);

#endif
