/* Marks, devices and offload of a connection in --status and --connectionstatus. */
#ifndef PLUTO_BINDING_TEXT_H
#define PLUTO_BINDING_TEXT_H

#include "line.h"

#include "ike/connection.h"

/* "mark: ...; vti-iface:...; vti-routing:...; vti-shared:...; nic-offload:...;" and the line's end.
 */
void binding_text(struct line *line, const struct connection *c);
/* "ipsec-interface: ipsec1; interface-id: 1; interface-ip: 10.0.0.1/24; mtu: auto;", or of a VTI,
 * and the line's end. For a binding that has a device. */
void binding_device_text(struct line *line, const struct connection *c);

#endif
