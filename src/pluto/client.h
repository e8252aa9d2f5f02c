/* A client of the control socket: its request comes in, lines go out, and nothing that it does or
 * fails to do holds up anybody. Control thread only. */
#ifndef PLUTO_CLIENT_H
#define PLUTO_CLIENT_H

#include "base/table.h"
#include "config/control_message.h"
#include "ike/engine.h"

struct pluto;
struct report;
struct client;

/* How many are served at once; when all places are taken, one that has not read its answer for
 * CLIENT_STUCK_MS makes room. */
#define CLIENTS_MAX     256
#define CLIENT_STUCK_MS 30000
/* A whole request must have come by then. */
#define CLIENT_REQUEST_MS 10000
/* Lines that find more than this waiting are lost (and counted). */
#define CLIENT_OUT_MAX (256 * 1024)
/* A report goes on when less than this waits. */
#define CLIENT_OUT_LOW (32 * 1024)

enum client_state { CLIENT_READING, CLIENT_WORKING, CLIENT_ENDING, CLIENT_GONE };

struct client {
	struct client *next, **link;
	struct table_node node; /* by watcher */
	struct pluto *pluto;
	ike_watcher watcher; /* never used again */
	int fd;
	enum client_state state;
	uint32_t events; /* asked of epoll */
	uint8_t *in;
	size_t in_len, in_need; /* in_need 0: the length is not known yet */
	char *out;
	size_t out_start, out_len, out_room;
	bool in_line;      /* report text stopped within a line */
	bool broken;       /* memory was out in the middle of a report */
	uint64_t lost;     /* lines */
	uint64_t since_ms; /* of the last progress */
	unsigned commands; /* that the shards have not all finished */
	int64_t releases;  /* that are awaited; below 0 while they overtake their command's end */
	struct report *report; /* or NULL; owned */
	struct control_request request;
};

struct clients {
	struct client *first;
	struct table *by_watcher;
	unsigned count;
	uint64_t last_watcher;
};

bool clients_init(struct clients *clients);
/* All connections are closed. */
void clients_release(struct clients *clients);
/* A watcher id that no client has. */
ike_watcher clients_new_watcher(struct clients *clients);
/* NULL: it has gone. */
struct client *client_by_watcher(const struct clients *clients, ike_watcher watcher);
/* Takes `fd`. */
void client_accept(struct pluto *p, int fd);
/* What epoll says. The client may be gone afterwards. */
void client_event(struct client *client, uint32_t events);
/* Sends what waits and lets reports go on: for all, once a turn of the loop. */
void clients_flush(struct pluto *p);
/* Ends those that keep us waiting for their request; returns when to look again, UINT64_MAX: never.
 */
uint64_t clients_expire(struct pluto *p);

/* An answer line; no newline in it. */
void client_line(struct client *client, enum ike_rc code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void client_text(struct client *client, enum ike_rc code, const char *text, size_t len);
/* Text of a report, any part of any number of lines; it is never lost. */
void client_report_text(struct client *client, const char *text, size_t len);
/* A command has gone to the shards, which will end it by DONE; it has been ended, and `count` SAs
 * will each release the client. */
void client_expects_done(struct client *client);
void client_done(struct client *client, unsigned count);
/* One more SA will release the client; one has. */
void client_expects_release(struct client *client);
void client_released(struct client *client);
/* The request is done when nothing is awaited: afterwards the connection is closed as soon as all
 * is sent. */
void client_settle(struct client *client);
/* The report has ended or was called off: forget it. The client may be gone afterwards. */
void client_report_over(struct client *client);

#endif
