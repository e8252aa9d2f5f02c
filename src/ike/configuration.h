/* What configuration payloads bring an IKE SA (RFC 7296, sections 2.19 and 3.15): addresses that we
 * lend to the peer, or the one that it lends to us, with what it tells beside. Private; one thread.
 */
#ifndef IKE_CONFIGURATION_H
#define IKE_CONFIGURATION_H

#include "cp_payload.h"
#include "ike_sa.h"

/* Of an IKE SA; moves to the one that it is rekeyed to. */
struct peer_configuration {
	struct lease leases[2];       /* we are the server: IPv4, IPv6 */
	struct ip_address given[2];   /* we are the client: what the server has given us */
	char *dns, *domains, *banner; /* we are the client: lists with blanks between; or NULL.
					 Clean enough for a script's environment and a terminal */
	size_t bytes;                 /* as counted by the engine */
};

/* ---- server (responder) ---------------------------------------------------- */
/* Does the connection give addresses? */
bool configuration_serves(const struct connection *c);
/* Gives the peer, which is authenticated, what the connection has for it and it asks for. `asked`
 * NULL: it asks for nothing. 0, or the notify to refuse the Child SA with, logged. */
uint16_t configuration_serve(struct ike_sa *sa, const struct configuration *asked);
/* CFG_REPLY, if there is something to be told. */
void configuration_reply_encode(const struct ike_sa *sa, struct message_writer *m);
/* In an INFORMATIONAL exchange: what answers a CFG_REQUEST or CFG_SET, if the request has one. */
void configuration_answer(
	const struct ike_sa *sa, const struct payload_list *request, struct message_writer *m);

/* ---- client (initiator) ---------------------------------------------------- */
bool configuration_asks(const struct connection *c);
void configuration_request_encode(const struct ike_sa *sa, struct message_writer *m);
/* Takes the reply to it, if the connection has asked. NULL, or what is wrong. */
const char *configuration_take_reply(struct ike_sa *sa, const struct payload_list *response);
/* Narrows what the responder has chosen for us to the addresses that it has given us. False:
 * nothing is left. */
bool configuration_narrow(
	const struct child_sa *child, struct traffic_selector *local, unsigned *count);

/* ---- both ------------------------------------------------------------------ */
/* An end's selectors as end_selectors has them, but for an end whose addresses are lent: these, or,
 * if there are none yet, all that may be lent to a peer that is not established, and whatever a
 * server may give to us. `out` has room for IPSEC_SELECTORS_MAX. */
unsigned configuration_selectors(const struct ike_sa *sa, const struct connection *c, bool local,
	struct traffic_selector *out);
/* Leases go back. */
void configuration_drop(struct ike_sa *sa);
void configuration_inherit(struct ike_sa *from, struct ike_sa *to);

#endif
