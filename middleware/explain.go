package middleware

import (
	"context"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// checkPolicy is the name of the judgement of the policy, which is the last one.
const checkPolicy = "policy"

// Explain is [Route.Check] with how the token fares in each check of
// [validator.Validator.Explain], and in the policy, which comes last. The Verdict decides:
// it is that of Check, which was made before. Explain is for people who look for a fault,
// and slower than Check.
func (r *Route) Explain(ctx context.Context, p validator.Presentation, operation scopes.Operation) (Verdict, []validator.Judgement) {
	var done validator.ValidateDone
	verdict := r.judge(ctx, &p, operation, r.Name(), &done)
	if !r.made() || r.ambiguity != nil || verdict.Denial() == nil && verdict.Token() == nil {
		return verdict, []validator.Judgement{r.explainPolicy(verdict, done)}
	}
	return verdict, append(r.guard.validator.Explain(ctx, p, done), r.explainPolicy(verdict, done))
}

// explainPolicy says how the policy decided.
func (r *Route) explainPolicy(verdict Verdict, done validator.ValidateDone) validator.Judgement {
	j := validator.Judgement{Check: checkPolicy, Reached: true}
	denial := verdict.Denial()
	switch {
	case denial == nil:
		j.Passed, j.Found = true, r.policy.String()
	case done.Err != nil:
		j.Reached, j.Found = false, "it is asked about valid tokens only"
	default:
		j.Reason, j.Found = denial.Reason, denial.Cause().Error()
		if policy := r.Policy(); policy.Err() == nil {
			j.Wanted = policy.String()
		}
		if found, ok := cause.Of(denial); ok {
			d := found.Details()
			j.Found, j.Mend = d.Found, d.Mend
			if d.Wanted != "" {
				j.Wanted = d.Wanted
			}
		}
		if denial.Class == ClassNotFound || denial.Class == ClassMethodNotAllowed {
			j.Found, j.Wanted = "no route for the request", "a route"
		}
	}
	return j
}
