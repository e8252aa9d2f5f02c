/* What Child SAs are agreed on: modes, protocols, compression, padding, selectors, and what a NAT in between does to
 * them. */
#include "fixture_asserts.h"

#include <string.h>
#include <urcu/urcu-qsbr.h>

static const struct side_config usual;

static void transport_mode_is_agreed_on(void **state)
{
	struct side_config side = {.transport = true};
	struct fixture *f = up(&side, &side);

	(void)state;
	assert_true(fixture_told(f, "IPsec transport [192.0.2.2/32===192.0.2.1/32]"));
	end(f);
}

/* The only Child SA of a node. */
static struct child_view child_of(struct node *node)
{
	struct ike_sa_view view;
	struct ike_walk walk;

	ike_walk_start(node->engine, &walk);
	assert_true(ike_walk_next(&walk, &view));
	ike_walk_end(&walk);
	assert_int_equal(view.child_count, 1);
	return view.child;
}

static void rekey_child(struct node *node, struct connection *c)
{
	uint64_t before = child_of(node).serial;

	node_rekey_watched(node, c, CHILD_SA);
	fixture_pass(node->world->listener, 3000);
	assert_int_not_equal(child_of(node).serial, before);
}

static void ah_is_agreed_on(void **state)
{
	struct side_config side = {.ah = true, .esp = "sha2_256+sha1"};
	struct fixture *f = up(&side, &side);
	const struct ipsec_sa *in;

	(void)state;
	assert_true(fixture_told(f, " {AH <0x"));
	assert_true(fixture_told(f, "{AH/ESN=>0x"));
	assert_true(fixture_told(f, "xfrm=HMAC_SHA2_256_128 DPD=passive}"));
	for (unsigned i = 0; i < 3; i++) {
		in = node_inbound_sa(f->east, child_of(f->east).in_spi);
		assert_int_equal(in->protocol, IPSEC_AH);
		assert_int_equal(in->encr, 0);
		assert_int_equal(in->encr_key_len, 0);
		assert_int_equal(in->integ_key_len, 32);
		check_agreement(f->world, 1000);
		check_books(f->west);
		if (i == 0)
			rekey_child(f->west, f->west_connection);
		else
			rekey_child(f->east, f->east_connection);
	}
	assert_int_equal(fixture_counter(f->west, "total.ipsec.type.ah"), 4);
	assert_int_equal(fixture_counter(f->west, "total.ipsec.ah.traffic.in"), 3 * 17);
	assert_int_equal(fixture_counter(f->west, "total.ipsec.ah.traffic.out"), 3 * 4096);
	assert_int_equal(fixture_counter(f->west, "total.ipsec.esp.traffic.in"), 0);
	end(f);
}

static void ah_does_not_meet_esp(void **state)
{
	struct side_config side = {.ah = true};
	struct fixture *f = fixture_new(&side, &usual, false);

	(void)state;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	assert_true(fixture_told(f, "IKE_AUTH response rejected Child SA with NO_PROPOSAL_CHOSEN"));
	assert_int_equal(node_live_sas(f->west) + node_live_sas(f->east), 0);
	end(f);
}

static void ah_passes_no_nat(void **state)
{
	struct side_config west = {.ah = true}, east = {.ah = true, .template_remote = true};
	struct fixture *f = fixture_new(&west, &east, true);

	(void)state;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	assert_true(fixture_told(f, "AH cannot pass the NAT that is between us and the peer"));
	assert_int_equal(fixture_code(f), RC_FATAL);
	assert_int_equal(node_live_sas(f->west) + node_live_sas(f->east), 0);
	end(f);
}

static void assert_cpis_agree(struct fixture *f)
{
	struct child_view west = child_of(f->west), east = child_of(f->east);
	const struct ipsec_sa *in = node_inbound_sa(f->west, west.in_spi),
			      *out = node_outbound_sa(f->west, west.out_spi, west.serial);

	assert_in_range(west.in_cpi, 256, 61439);
	assert_in_range(west.out_cpi, 256, 61439);
	assert_int_equal(west.in_cpi, east.out_cpi);
	assert_int_equal(west.out_cpi, east.in_cpi);
	assert_int_equal(in->ipcomp_cpi, west.in_cpi);
	assert_int_equal(out->ipcomp_cpi, west.out_cpi);
	check_books(f->west);
	check_books(f->east);
}

static void compression_is_agreed_on_and_rekeyed(void **state)
{
	struct side_config side = {.compress = true};

	(void)state;
	for (unsigned transport = 0; transport < 2; transport++) {
		side.transport = transport;
		struct fixture *f = up(&side, &side);
		uint16_t cpi = child_of(f->west).in_cpi;

		assert_true(fixture_told(f, " IPCOMP=>0x"));
		assert_cpis_agree(f);
		rekey_child(f->west, f->west_connection);
		assert_cpis_agree(f);
		assert_int_not_equal(child_of(f->west).in_cpi, cpi);
		cpi = child_of(f->west).in_cpi;
		rekey_child(f->east, f->east_connection);
		assert_cpis_agree(f);
		assert_int_not_equal(child_of(f->west).in_cpi, cpi);
		assert_int_equal(f->west->cpi_count, 1); /* those before have been given back */
		assert_int_equal(f->east->cpi_count, 1);
		check_clean_end(f->world, 30000);
		end(f);
	}
}

/* One end does not want it, or its kernel cannot; and with a NAT nobody does. */
static void without_compression_where_one_end_does_not(void **state)
{
	static const struct side_config sides[][2] = {
		{{.compress = true}, {.compress = false}},
		{{.compress = false}, {.compress = true}},
		{{.compress = true}, {.compress = true, .no_ipcomp = true}},
		{{.compress = true, .no_ipcomp = true}, {.compress = true}},
		{{.compress = true}, {.compress = true, .template_remote = true}},
	};

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct fixture *f = fixture_new(&sides[i][0], &sides[i][1], i == 4);

		fixture_initiate(f);
		fixture_pass(f, 2000);
		assert_int_equal(count_established(f->west), 1);
		assert_int_equal(child_of(f->west).in_cpi, 0);
		assert_int_equal(child_of(f->east).out_cpi, 0);
		assert_int_equal(f->west->cpi_count + f->east->cpi_count, 0);
		check_agreement(f->world, 1000);
		rekey_child(f->west, f->west_connection);
		assert_int_equal(f->west->cpi_count + f->east->cpi_count, 0);
		assert_int_equal(fixture_told(f, "the peer does not compress"), i == 0 || i == 2);
		assert_int_equal(fixture_told(f, "not with a NAT in between"), i == 4);
		end(f);
	}
}

static uint16_t padding_of(struct node *node)
{
	struct child_view child = child_of(node);

	return node_outbound_sa(node, child.out_spi, child.serial)->tfc_padding;
}

static void padding_goes_by_what_the_peer_takes(void **state)
{
	static const struct {
		struct side_config west, east;
		uint16_t west_pads, east_pads;
	} rows[] = {
		{{.tfc = 900}, {.tfc = 300}, 900, 300},
		{{.tfc = 900, .refuse_tfc = true}, {.tfc = 300}, 900, 0},
		{{.tfc = 900}, {.tfc = 300, .refuse_tfc = true}, 0, 300},
		{{.tfc = 900, .transport = true}, {.transport = true}, 0, 0},
		{{.tfc = 900, .ah = true}, {.ah = true}, 0, 0},
		{{.tfc = 900, .compress = true}, {.compress = true}, 0, 0},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture *f = up(&rows[i].west, &rows[i].east);

		assert_int_equal(padding_of(f->west), rows[i].west_pads);
		assert_int_equal(padding_of(f->east), rows[i].east_pads);
		rekey_child(f->east, f->east_connection);
		assert_int_equal(padding_of(f->west), rows[i].west_pads);
		assert_int_equal(padding_of(f->east), rows[i].east_pads);
		end(f);
	}
}

static void assert_seen(struct node *node, const char *selectors)
{
	struct child_view child = child_of(node);
	char local[TRAFFIC_SELECTOR_TEXT_MAX], remote[TRAFFIC_SELECTOR_TEXT_MAX], text[200];

	snprintf(text, sizeof(text), "%s===%s", traffic_selector_text(child.local_ts, local),
		traffic_selector_text(child.remote_ts, remote));
	assert_string_equal(text, selectors);
}

/* RFC 7296, section 2.23.1: each end goes by the addresses that it sees. */
static void transport_mode_passes_a_nat(void **state)
{
	struct side_config west = {.transport = true},
			   east = {.transport = true, .template_remote = true};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct fixture *f = fixture_new(&west, &east, true);
		char mine[100], theirs[100], ip[IP_TEXT_MAX];

		fixture_initiate(f);
		fixture_pass(f, 2000);
		assert_int_equal(count_established(f->west), 1);
		snprintf(
			mine, sizeof(mine), "%s/32===192.0.2.1/32", ip_text(&f->west->address, ip));
		snprintf(theirs, sizeof(theirs), "192.0.2.1/32===%s/32",
			ip_text(&f->west->nat_address, ip));
		for (unsigned round = 0; round < 3; round++) {
			assert_seen(f->west, mine);
			assert_seen(f->east, theirs);
			assert_true(child_of(f->east).udp_encapsulation);
			check_agreement(f->world, 1000);
			if (round == 0)
				rekey_child(f->west, f->west_connection);
			else
				rekey_child(f->east, f->east_connection);
		}
		end(f);
		east.template_remote = false;
	}
}

/* The NAT gets another address: what was between the old ones begins anew. */
static void transport_mode_follows_a_nat(void **state)
{
	struct side_config west = {.transport = true, .dpd_s = 5, .keying_tries = 100},
			   east = {.transport = true, .template_remote = true};
	struct fixture *f = fixture_new(&west, &east, true);
	char theirs[100], ip[IP_TEXT_MAX];

	(void)state;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	assert_int_equal(count_established(f->east), 1);
	f->west->nat_address = ip_v4(0xc6336499);
	fixture_pass(f, 30000);
	snprintf(
		theirs, sizeof(theirs), "192.0.2.1/32===%s/32", ip_text(&f->west->nat_address, ip));
	assert_seen(f->east, theirs);
	check_agreement(f->world, 1000);
	check_books(f->east);
	assert_int_equal(ike_engine_sa_count(f->east->engine), 1);
	end(f);
}

static void responder_narrows(void **state)
{
	struct side_config west = {.subnet = "10.1.0.0/16", .peer_subnet = "10.2.0.0/16"};
	struct side_config east = {.narrowing = true};
	struct fixture *f = up(&west, &east);

	(void)state;
	assert_true(fixture_told(f, "[10.1.0.0/24===10.2.0.0/24]"));
	end(f);
}

static void child_is_refused_for_selectors_and_ike_sa_stays(void **state)
{
	struct side_config west = {.peer_subnet = "10.9.0.0/24"};
	struct fixture *f = fixture_new(&west, &usual, false);

	(void)state;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	assert_true(fixture_told(f, "IKE_AUTH response rejected Child SA with TS_UNACCEPTABLE"));
	assert_int_equal(fixture_code(f), 0);
	assert_int_equal(ike_engine_sa_count(f->west->engine), 1);
	assert_int_equal(node_live_sas(f->west) + node_live_sas(f->east), 0);
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transport_mode_is_agreed_on),
		cmocka_unit_test(ah_is_agreed_on),
		cmocka_unit_test(ah_does_not_meet_esp),
		cmocka_unit_test(ah_passes_no_nat),
		cmocka_unit_test(compression_is_agreed_on_and_rekeyed),
		cmocka_unit_test(without_compression_where_one_end_does_not),
		cmocka_unit_test(padding_goes_by_what_the_peer_takes),
		cmocka_unit_test(transport_mode_passes_a_nat),
		cmocka_unit_test(transport_mode_follows_a_nat),
		cmocka_unit_test(responder_narrows),
		cmocka_unit_test(child_is_refused_for_selectors_and_ike_sa_stays),
	};
	int failed;

	urcu_qsbr_register_thread();
	failed = cmocka_run_group_tests_name("child_sas", tests, NULL, NULL);
	urcu_qsbr_unregister_thread();
	return failed;
}
