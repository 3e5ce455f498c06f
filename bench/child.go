package bench

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxSocket is the room for a path in sockaddr_un, its end included.
const maxSocket = 108

// childCode is the child for Linux on amd64. It must not depend on a compiler
// at run time, nor cost a runtime's start: either would blur what is measured.
//
//	clock_gettime(CLOCK_MONOTONIC, buf); buf[16:] = getpid(); buf[24:] = argv[1]
//	fd = socket(AF_UNIX, SOCK_DGRAM); sendto(fd, buf, addr); close(fd)
//	for { pause() }
var childCode = []byte{
	0x4c, 0x8b, 0x64, 0x24, 0x10, // mov 16(%rsp), %r12        argv[1]
	0x48, 0x81, 0xec, 0x00, 0x02, 0x00, 0x00, // sub $512, %rsp
	0x48, 0x89, 0xe3, // mov %rsp, %rbx                        buf
	0xb8, 0xe4, 0x00, 0x00, 0x00, // mov $228, %eax            clock_gettime
	0xbf, 0x01, 0x00, 0x00, 0x00, // mov $1, %edi              CLOCK_MONOTONIC
	0x48, 0x89, 0xde, // mov %rbx, %rsi
	0x0f, 0x05, // syscall
	0xb8, 0x27, 0x00, 0x00, 0x00, // mov $39, %eax             getpid
	0x0f, 0x05, // syscall
	0x48, 0x89, 0x43, 0x10, // mov %rax, 16(%rbx)
	0x48, 0x8d, 0x7b, 0x18, // lea 24(%rbx), %rdi
	0x4c, 0x89, 0xe6, // mov %r12, %rsi
	0xac,       // lodsb                                       copy the name
	0xaa,       // stosb
	0x84, 0xc0, // test %al, %al
	0x75, 0xfa, // jnz lodsb
	0x49, 0x89, 0xfd, // mov %rdi, %r13
	0x49, 0x29, 0xdd, // sub %rbx, %r13                        length
	0xb8, 0x29, 0x00, 0x00, 0x00, // mov $41, %eax             socket
	0xbf, 0x01, 0x00, 0x00, 0x00, // mov $1, %edi              AF_UNIX
	0xbe, 0x02, 0x00, 0x00, 0x00, // mov $2, %esi              SOCK_DGRAM
	0x31, 0xd2, // xor %edx, %edx
	0x0f, 0x05, // syscall
	0x89, 0xc7, // mov %eax, %edi
	0xb8, 0x2c, 0x00, 0x00, 0x00, // mov $44, %eax             sendto
	0x48, 0x89, 0xde, // mov %rbx, %rsi
	0x4c, 0x89, 0xea, // mov %r13, %rdx
	0x45, 0x31, 0xd2, // xor %r10d, %r10d
	0x4c, 0x8d, 0x05, 0x18, 0x00, 0x00, 0x00, // lea addr(%rip), %r8
	0x41, 0xb9, 0x6e, 0x00, 0x00, 0x00, // mov $110, %r9d
	0x0f, 0x05, // syscall
	0xb8, 0x03, 0x00, 0x00, 0x00, // mov $3, %eax              close
	0x0f, 0x05, // syscall
	0xb8, 0x22, 0x00, 0x00, 0x00, // mov $34, %eax             pause
	0x0f, 0x05, // syscall
	0xeb, 0xf7, // jmp pause
}

// childProgram is the child as an ELF file that tells the given socket.
func childProgram(socket string) ([]byte, error) {
	if len(socket) >= maxSocket {
		return nil, fmt.Errorf("cannot use the path %s for a socket: it has %d bytes, %d at most; set TMPDIR to a shorter one", socket, len(socket), maxSocket-1)
	}
	const base, headers = 0x400000, 64 + 56
	size := uint64(headers + len(childCode) + 2 + maxSocket)
	le := binary.LittleEndian
	elf := []byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 15: 0}
	elf = le.AppendUint16(elf, 2)                    // executable
	elf = le.AppendUint16(elf, 62)                   // x86-64
	elf = le.AppendUint32(elf, 1)                    // version
	elf = le.AppendUint64(elf, base+headers)         // entry
	elf = le.AppendUint64(elf, 64)                   // program headers
	elf = le.AppendUint64(elf, 0)                    // section headers
	elf = le.AppendUint32(elf, 0)                    // flags
	for _, v := range []uint16{64, 56, 1, 0, 0, 0} { // sizes and counts of headers
		elf = le.AppendUint16(elf, v)
	}
	elf = le.AppendUint32(elf, 1) // to be loaded,
	elf = le.AppendUint32(elf, 5) // readable and executable
	for _, v := range []uint64{0, base, base, size, size, 0x1000} {
		elf = le.AppendUint64(elf, v)
	}
	elf = append(elf, childCode...)
	elf = le.AppendUint16(elf, syscall.AF_UNIX)
	elf = append(elf, socket...)
	return append(elf, make([]byte, maxSocket-len(socket))...), nil
}

// childArgv writes the child into dir and gives its command line, to which the
// child's name is to be added. Where the processor is another one, the child is
// this very binary: its runtime's start, some milliseconds, is then part of all
// figures, the floors' included. A program of the user's own is called with the
// socket and the name.
func childArgv(own, self, dir, socket string) ([]string, error) {
	if own != "" {
		return []string{own, socket}, nil
	}
	if runtime.GOARCH != "amd64" {
		return []string{self, hidden, roleChild, socket}, nil
	}
	program, err := childProgram(socket)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "child")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		return nil, fmt.Errorf("cannot write the child: %w", err)
	}
	return []string{path}, nil
}

// beChild is the child in Go.
func beChild(socket, name string) error {
	at := now()
	conn, err := net.Dial("unixgram", socket)
	if err != nil {
		return err
	}
	ne := binary.NativeEndian
	msg := ne.AppendUint64(nil, uint64(at.Nanoseconds()/1e9))
	msg = ne.AppendUint64(msg, uint64(at.Nanoseconds()%1e9))
	msg = ne.AppendUint64(msg, uint64(os.Getpid()))
	if _, err := conn.Write(append(msg, name...)); err != nil {
		return err
	}
	conn.Close()
	for {
		_ = unix.Pause() // ends with each signal that has a handler
	}
}
