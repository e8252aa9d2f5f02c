/* The steps that reports are made of, by the file that has them. */
#ifndef PLUTO_REPORTS_H
#define PLUTO_REPORTS_H

#include "report.h"

/* global_status.c */
report_step global_status_keys, global_status_others, global_status_shards, global_status_daemon;
/* brief_status.c */
report_step brief_status;
/* status.c */
report_step status_interfaces, status_setup, status_kernel_algorithms, status_ike_algorithms,
	status_shunts;
/* connection_status.c: after report_gather_sas */
report_step connection_list_head, connection_list, connection_list_total, connection_brief_total;
/* pool_status.c */
report_step pool_status;
/* sa_reports.c */
report_step traffic_status, show_states, brief_connections;

#endif
