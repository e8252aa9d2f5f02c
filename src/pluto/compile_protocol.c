/* What the SAs of a connection are: ESP or AH, with IPComp or not, padded or not. */
#include "compile.h"

#include "kernel/kernel.h"

/* Which of phase2=, esp=, ah= says it. */
static bool choose(struct compile *cc)
{
	if (cc->esp && cc->ah)
		return compile_fail(cc, "esp= and ah= are both given: ESP or AH");
	if (cc->phase2 == IPSEC_ESP && cc->ah)
		return compile_fail(cc, "ah=%s does not go with phase2=esp", cc->ah);
	if (cc->phase2 == IPSEC_AH && cc->esp)
		return compile_fail(cc, "esp=%s does not go with phase2=ah", cc->esp);
	cc->c->protocol = cc->phase2 ? cc->phase2 : cc->ah ? IPSEC_AH : IPSEC_ESP;
	if (cc->phase2alg && (cc->esp || cc->ah))
		return compile_fail(cc, "phase2alg=%s is given beside %s=", cc->phase2alg,
			cc->esp ? "esp" : "ah");
	if (cc->phase2alg)
		*(cc->c->protocol == IPSEC_AH ? &cc->ah : &cc->esp) = cc->phase2alg;
	return true;
}

static bool has_ah(const struct kernel *kernel)
{
	const struct algorithm *integ;

	for (size_t i = 0; (integ = algorithm_at(TRANSFORM_INTEG, i)); i++)
		if (kernel_supports_ah(kernel, integ->id, false))
			return true;
	return false;
}

static bool check_ah(struct compile *cc)
{
	const struct kernel *kernel = cc->context->kernel;
	struct connection *c = cc->c;

	if (kernel && !has_ah(kernel))
		return compile_fail(
			cc, "the kernel interface \"%s\" has no AH", kernel_name(kernel));

	if (c->encapsulation == CHOICE_YES)
		return compile_fail(cc, "encapsulation=yes does not go with AH: only ESP can be "
					"encapsulated in UDP");
	return true;
}

/* What it cannot do is left out, since the peer might not be able to do it either. */
static void fit_kernel(struct compile *cc)
{
	const struct kernel *kernel = cc->context->kernel;
	struct connection *c = cc->c;

	if (!kernel)
		return;
	if (c->compress && !(kernel_abilities(kernel) & KERNEL_IPCOMP)) {
		compile_warn(cc,
			"compress=yes: the kernel interface \"%s\" has no IPComp: nothing is "
			"compressed",
			kernel_name(kernel));
		c->compress = false;
	}
	if (c->tfc_padding && !(kernel_abilities(kernel) & KERNEL_TFC)) {
		compile_warn(cc,
			"tfc=%u: the kernel interface \"%s\" cannot pad: packets keep their size",
			c->tfc_padding, kernel_name(kernel));
		c->tfc_padding = 0;
	}
}

bool compile_protocol(struct compile *cc)
{
	struct connection *c = cc->c;

	if (!choose(cc) || (c->protocol == IPSEC_AH && !check_ah(cc)))
		return false;
	fit_kernel(cc);
	if (c->tfc_padding && (c->protocol == IPSEC_AH || c->mode != IPSEC_TUNNEL))
		compile_warn(cc, "tfc=%u is ignored: only ESP in tunnel mode can be padded",
			c->tfc_padding);
	else if (c->tfc_padding && c->compress)
		compile_warn(cc, "tfc=%u is ignored with SAs that compress", c->tfc_padding);
	return true;
}
