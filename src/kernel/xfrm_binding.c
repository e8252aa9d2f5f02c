#include "xfrm_binding.h"

#include <errno.h>
#include <linux/xfrm.h>
#include <string.h>

static int put(struct nl_msg *msg, int type, const void *data, size_t len)
{
	return nla_put(msg, type, (int)len, data) < 0 ? EMSGSIZE : 0;
}

static int put_u32(struct nl_msg *msg, int type, uint32_t value)
{
	return put(msg, type, &value, sizeof(value));
}

int xfrm_put_mark(struct nl_msg *msg, const struct ipsec_mark *mark)
{
	struct xfrm_mark m = {.v = mark->value & mark->mask, .m = mark->mask};

	return mark->mask ? put(msg, XFRMA_MARK, &m, sizeof(m)) : 0;
}

int xfrm_put_interface(struct nl_msg *msg, uint32_t interface_id)
{
	return interface_id ? put_u32(msg, XFRMA_IF_ID, interface_id) : 0;
}

static int put_set_mark(struct nl_msg *msg, const struct ipsec_mark *mark)
{
	int error;

	if (!mark->mask)
		return 0;
	error = put_u32(msg, XFRMA_SET_MARK, mark->value & mark->mask);
	return error ? error : put_u32(msg, XFRMA_SET_MARK_MASK, mark->mask);
}

static int put_offload(struct nl_msg *msg, const struct ipsec_sa *sa)
{
	struct xfrm_user_offload offload = {
		.ifindex = (int)sa->offload_device,
		.flags = (uint8_t)((sa->direction == IPSEC_INBOUND ? XFRM_OFFLOAD_INBOUND : 0) |
				   (sa->local.address.family == AF_INET6 ? XFRM_OFFLOAD_IPV6 : 0)),
	};

	return sa->offload_device ? put(msg, XFRMA_OFFLOAD_DEV, &offload, sizeof(offload)) : 0;
}

int xfrm_put_sa_binding(struct nl_msg *msg, const struct ipsec_sa *sa)
{
	int error = xfrm_put_mark(msg, &sa->mark);

	if (!error)
		error = put_set_mark(msg, &sa->set_mark);
	if (!error)
		error = xfrm_put_interface(msg, sa->interface_id);
	return error ? error : put_offload(msg, sa);
}

int xfrm_put_binding_kept(struct nl_msg *msg, struct nlattr **attrs)
{
	static const int kept[] = {XFRMA_MARK, XFRMA_SET_MARK, XFRMA_SET_MARK_MASK, XFRMA_IF_ID,
		XFRMA_OFFLOAD_DEV, XFRMA_SEC_CTX};
	int error = 0;

	for (size_t i = 0; !error && i < sizeof(kept) / sizeof(kept[0]); i++) {
		struct nlattr *a = attrs[kept[i]];

		if (a)
			error = put(msg, kept[i], nla_data(a), (size_t)nla_len(a));
	}
	return error;
}

struct ipsec_mark xfrm_read_mark(struct nlattr **attrs)
{
	struct xfrm_mark m = {0};

	if (attrs[XFRMA_MARK] && nla_len(attrs[XFRMA_MARK]) >= (int)sizeof(m))
		memcpy(&m, nla_data(attrs[XFRMA_MARK]), sizeof(m));
	return (struct ipsec_mark){m.v, m.m};
}

uint32_t xfrm_read_interface(struct nlattr **attrs)
{
	struct nlattr *a = attrs[XFRMA_IF_ID];

	return a && nla_len(a) >= (int)sizeof(uint32_t) ? nla_get_u32(a) : 0;
}
