/* Compiling a connection, from inside. */
#ifndef PLUTO_COMPILE_H
#define PLUTO_COMPILE_H

#include "connection_compile.h"

#include "config/conf_file.h"

/* What the description says of one end, before it is put together. */
struct end_text {
	const char *side; /* "left", "right" */
	const char *host, *id, *subnet, *protoport, *auth, *nexthop, *ikeport;
	const char *updown, *sourceip;
	const char *cert, *ckaid, *ca, *sendcert;
	const char *interface_ip, *vti;
	const char *addresspool;
	bool modecfg_server, modecfg_client;
	bool any; /* %any */
};

/* What compile_binding.c puts together. */
struct binding_text {
	const char *mark, *mark_in, *mark_out, *ipsec_interface, *vti_interface, *vti_routing, *vti_shared,
		*mtu, *nic_offload;
};

struct compile {
	const struct compile_context *context;
	struct connection *c;
	char *error;
	size_t error_size;
	struct end_text ends[2];
	const char *authby, *ike, *esp, *ah, *phase2alg, *sendca;
	enum ipsec_protocol phase2;         /* 0: not given */
	struct binding_text binding;
	uint8_t host_family, client_family; /* asked for; 0: not */
	int esn;                            /* 0 no, 1 yes, 2 either */
	bool rekey_margin_given;
	const char *modecfgdns, *modecfgdomains, *modecfgbanner;
	bool narrowing_given;
	bool on_traffic; /* initiateontraffic= */
};

/* Always false. */
bool compile_fail(struct compile *cc, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void compile_warn(struct compile *cc, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* keyword.c: takes note of one parameter. */
bool compile_parameter(struct compile *cc, const char *key, const char *value);
/* compile_end.c: hosts, identities, selectors and authentication of both ends. */
bool compile_ends(struct compile *cc);
/* compile_auth.c: method, certificate and authority of one end; then what takes both. */
bool compile_auth(struct compile *cc, const struct end_text *t, struct connection_end *e);
bool compile_auth_of_both(struct compile *cc);
/* *done: the end's identity is its certificate's. */
bool compile_identity_of_certificate(
	struct compile *cc, const struct end_text *t, struct connection_end *e, bool *done);
/* A name that is the certificate's is taken in the certificate's own encoding. */
void compile_adopt_subject(struct connection_end *e);
/* compile_binding.c: marks, interfaces, offload; after the ends. */
bool compile_binding(struct compile *cc);
/* compile_pool.c: the address pool of one end; then what goes with it. */
bool compile_pool(struct compile *cc, const struct end_text *t, struct connection_end *e);
bool compile_modecfg(struct compile *cc);
/* compile_protocol.c: ESP or AH, and what goes with it; before the proposals. */
bool compile_protocol(struct compile *cc);
/* compile_proposals.c */
bool compile_proposals(struct compile *cc);

#endif
