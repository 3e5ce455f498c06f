// Package knock asks at the door of a cluster before anything is written for a
// node that is to join it: is somebody there, is it selfware, is it the cluster
// of the token, and does it hold the same key.
//
// # Faults
//
// What another try cannot mend (another program on the port, another cluster,
// another key, another version) is an error at once. Nobody there, a name that
// does not resolve yet, or a node that is still starting is tried again for as
// long as the caller's patience lasts.
//
// # Tests
//
// Against a real mux with the right token, the wrong ones, a server that is
// none of ours, and a port that opens late.
package knock
