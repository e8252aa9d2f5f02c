/* The control thread's loop: clients, mail from the shards, signals. It never waits for any of them
 * alone. */
#ifndef PLUTO_CONTROL_LOOP_H
#define PLUTO_CONTROL_LOOP_H

#include "ike/engine.h"

struct pluto;

/* Until the daemon is to end. False with a line in the log: the loop could not be set up. */
bool control_loop_run(struct pluto *p);
bool control_loop_open(struct pluto *p);
void control_loop_close(struct pluto *p);

bool control_loop_watch(struct pluto *p, int fd, uint32_t events, ike_watcher client);
void control_loop_change(struct pluto *p, int fd, uint32_t events, ike_watcher client);
void control_loop_forget(struct pluto *p, int fd);

#endif
