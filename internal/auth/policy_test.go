package auth

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	_ "google.golang.org/protobuf/types/known/emptypb"

	authv1 "github.com/intime-solutions/intime/gen/go/intime/auth/v1"
	_ "github.com/intime-solutions/intime/gen/go/intime/event/v1"
	_ "github.com/intime-solutions/intime/gen/go/intime/job/v1"
	_ "github.com/intime-solutions/intime/gen/go/intime/session/v1"
	_ "github.com/intime-solutions/intime/gen/go/intime/user/v1"
)

func TestPolicy_Rule(t *testing.T) {
	t.Parallel()
	permission := func(name string) *authv1.Authorization {
		return &authv1.Authorization{Rule: &authv1.Authorization_Permission{Permission: name}}
	}
	for name, test := range map[string]struct {
		declared *authv1.Authorization
		want     Rule
		ok       bool
	}{
		"nothing":               {nil, Rule{}, false},
		"an empty option":       {&authv1.Authorization{}, Rule{}, false},
		"not public":            {&authv1.Authorization{Rule: &authv1.Authorization_Public{}}, Rule{}, false},
		"public":                {&authv1.Authorization{Rule: &authv1.Authorization_Public{Public: true}}, Rule{Public: true}, true},
		"a permission":          {permission("job:create"), Rule{Permission: "job:create"}, true},
		"an empty permission":   {permission(""), Rule{}, false},
		"a permission for all":  {permission("*"), Rule{}, false},
		"half a permission":     {permission("job:"), Rule{}, false},
		"too many parts":        {permission("job:create:all"), Rule{}, false},
		"a permission in caps":  {permission("Job:Create"), Rule{}, false},
		"a permission and more": {permission("job:create\n"), Rule{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var policy Policy
			method := methodWith(t, test.declared)
			for range 2 { // the second time from memory
				rule, ok := policy.Rule(method)
				require.Equal(t, test.ok, ok)
				require.Equal(t, test.want, rule)
			}
		})
	}
	var policy Policy
	_, ok := policy.Rule(nil)
	require.False(t, ok)
}

// Every procedure there is declares who may call it.
func TestPolicy_EveryProcedureDeclares(t *testing.T) {
	t.Parallel()
	var policy Policy
	count := 0
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		services := file.Services()
		for i := range services.Len() {
			if !strings.HasPrefix(string(services.Get(i).FullName()), "intime.") {
				continue
			}
			methods := services.Get(i).Methods()
			for j := range methods.Len() {
				count++
				_, ok := policy.Rule(methods.Get(j))
				require.True(t, ok, "%s declares no authorization", methods.Get(j).FullName())
			}
		}
		return true
	})
	require.Greater(t, count, 10)
}

func methodWith(t *testing.T, declared *authv1.Authorization) protoreflect.MethodDescriptor {
	t.Helper()
	options := &descriptorpb.MethodOptions{}
	if declared != nil {
		proto.SetExtension(options, authv1.E_Authorization, declared)
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: new("t.proto"), Package: new("t.v1"), Syntax: new("proto3"), Dependency: []string{"google/protobuf/empty.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: new("T"),
			Method: []*descriptorpb.MethodDescriptorProto{{
				Name: new("M"), Options: options,
				InputType: new(".google.protobuf.Empty"), OutputType: new(".google.protobuf.Empty"),
			}},
		}},
	}, protoregistry.GlobalFiles)
	require.NoError(t, err)
	return file.Services().Get(0).Methods().Get(0)
}
