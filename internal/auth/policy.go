package auth

import (
	"regexp"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	authv1 "github.com/intime-solutions/intime/gen/go/intime/auth/v1"
)

// Rule says who may call a procedure.
type Rule struct {
	Public     bool   // callable without signing in
	Permission string // the permission that the caller must hold; empty for a public procedure
}

// Policy knows the rule of each procedure, from the option in its proto file. Its zero value is ready; it is safe for
// concurrent use.
type Policy struct {
	rules sync.Map // protoreflect.FullName → Rule, for what has one
}

var permissionPattern = regexp.MustCompile(`^[a-z][a-z_]*:[a-z][a-z_]*$`)

// Rule returns the rule that a procedure declares. The schema is connect's Spec.Schema. False, which denies the call to
// everybody, where the procedure declares no rule, or one that does not name a permission.
func (p *Policy) Rule(schema any) (Rule, bool) {
	method, ok := schema.(protoreflect.MethodDescriptor)
	if !ok {
		return Rule{}, false
	}
	if rule, known := p.rules.Load(method.FullName()); known {
		return rule.(Rule), true
	}
	rule, ok := readRule(method)
	if ok {
		p.rules.Store(method.FullName(), rule)
	}
	return rule, ok
}

func readRule(method protoreflect.MethodDescriptor) (Rule, bool) {
	options := method.Options()
	if options == nil || !proto.HasExtension(options, authv1.E_Authorization) {
		return Rule{}, false
	}
	declared, ok := proto.GetExtension(options, authv1.E_Authorization).(*authv1.Authorization)
	if !ok {
		return Rule{}, false
	}
	if declared.GetPublic() {
		return Rule{Public: true}, true
	}
	permission := declared.GetPermission()
	if !permissionPattern.MatchString(permission) {
		return Rule{}, false
	}
	return Rule{Permission: permission}, true
}
