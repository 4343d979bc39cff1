// Command protogen writes the Go code of the .proto files of this repository, with the
// versions of the compiler and its plug-ins that its go.mod names. Its test checks that
// the committed code is what it would write.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

const (
	repository  = "github.com/sallyport-auth/sallyport"
	policyProto = "protopolicy/proto" // the folder of sallyport/v1/policy.proto

	messages = "google.golang.org/protobuf/cmd/protoc-gen-go"
	services = "google.golang.org/grpc/cmd/protoc-gen-go-grpc"
)

// source is one .proto file and the plug-ins that write its Go code.
type source struct {
	folder  string // below the root of the repository; names of files are relative to it
	file    string
	plugins []string
}

// sources are all .proto files of the repository.
var sources = []source{
	{folder: policyProto, file: "sallyport/v1/policy.proto", plugins: []string{messages}},
	{folder: "examples/grpc/proto", file: "orders/v1/orders.proto", plugins: []string{messages, services}},
}

func main() {
	if err := write(context.Background(), "."); err != nil {
		fmt.Fprintln(os.Stderr, "protogen:", err)
		os.Exit(1)
	}
}

// write writes the generated files below root, the root of the repository.
func write(ctx context.Context, root string) error {
	for _, s := range sources {
		files, err := s.generate(ctx, root)
		if err != nil {
			return fmt.Errorf("%s: %w", s.file, err)
		}
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(root, name), content, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// compile returns the descriptor of the file.
func (s source) compile(ctx context.Context, root string) (linker.File, error) {
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
			ImportPaths: []string{filepath.Join(root, s.folder), filepath.Join(root, policyProto)},
		}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(ctx, s.file)
	if err != nil {
		return nil, err
	}
	return files[0], nil
}

// generate returns the generated files by name, relative to the root of the repository.
func (s source) generate(ctx context.Context, root string) (map[string][]byte, error) {
	file, err := s.compile(ctx, root)
	if err != nil {
		return nil, err
	}
	request := &pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{s.file},
		Parameter:      new("module=" + repository),
		ProtoFile:      closure(nil, file),
	}
	encoded, err := proto.Marshal(request)
	if err != nil {
		return nil, err
	}
	all := make(map[string][]byte)
	for _, plugin := range s.plugins {
		response, err := run(ctx, root, plugin, encoded)
		if err != nil {
			return nil, err
		}
		for _, made := range response.GetFile() {
			all[made.GetName()] = []byte(made.GetContent())
		}
	}
	return all, nil
}

// closure appends the descriptors of file and of what it imports, imports first.
func closure(all []*descriptorpb.FileDescriptorProto, file protoreflect.FileDescriptor) []*descriptorpb.FileDescriptorProto {
	for _, known := range all {
		if known.GetName() == file.Path() {
			return all
		}
	}
	imports := file.Imports()
	for i := range imports.Len() {
		all = closure(all, imports.Get(i).FileDescriptor)
	}
	if result, ok := file.(linker.Result); ok { // with the positions of comments
		return append(all, result.FileDescriptorProto())
	}
	return append(all, protodesc.ToFileDescriptorProto(file))
}

// run runs a plug-in in the version of go.mod.
func run(ctx context.Context, root, plugin string, request []byte) (*pluginpb.CodeGeneratorResponse, error) {
	var out, errOut bytes.Buffer
	command := exec.CommandContext(ctx, "go", "run", plugin)
	command.Dir = filepath.Join(root, "internal/protogen")
	command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(request), &out, &errOut
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", plugin, err, &errOut)
	}
	response := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(out.Bytes(), response); err != nil {
		return nil, err
	}
	if text := response.GetError(); text != "" {
		return nil, errors.New(text)
	}
	return response, nil
}
