// Package spec reads the YAML file that describes a supervision tree and turns
// it into a supervisor.Spec, writes one back, and tells two of them apart.
//
// # What it decides
//
//   - [Parse] accepts a file or reports all of its errors (up to 20), each with
//     line, column, the offending text and, where one is near, the valid word
//     that was probably meant. Every default is filled in, so that writing a
//     default out is no change.
//   - [Format] writes the canonical file: Parse(Format(s)) equals s for every s
//     that Parse returned.
//   - [Diff] lists what an apply would add, remove and change, and which
//     processes it would restart.
//   - [Schema] is the JSON Schema 2020-12 of the file, for editors.
//   - [ParseFaults] and [FormatFaults] read and write a plan of faults, for simulations,
//     with a table of the same sort: its mistakes are told like those of a tree.
//
// The first four follow one set of tables (keys.go): a key that is not there is
// refused, and a key that is there is read, written, compared and documented.
//
// # The language
//
// A file is one YAML document of at most 4 MiB in UTF-8. JSON is YAML and works.
// Anchors, aliases and merge keys (<<) work; an alias stands for the value that
// was read at its anchor, so errors in it are reported there. Tags, directives
// and a second document are refused. Relative paths (run, dir, env_file) are
// left alone: the node that starts the program resolves them from the working
// directory of its own process.
//
// # Faults and their outcome
//
//   - Too long, not UTF-8, control characters, a tab as indentation: one error.
//   - Nested too deep (a tree has at most 64 levels): refused from the list of
//     tokens, before the recursive parser sees the file. The same look refuses
//     maps of more than 1000 keys, for which that parser takes quadratic time.
//   - An alias inside its own anchor (a cycle), or more than a million values with
//     those behind aliases: refused; nothing is copied on the way.
//   - A panic in the YAML library: reported as an error of the file.
//   - exclusive: false below an exclusive supervisor, which would have no effect:
//     refused, with the path of that supervisor.
//   - A restart budget that can never be spent, since the back-off alone takes
//     longer than the window: refused with the arithmetic.
//
// The package reads no files, no clock and no environment.
//
// # How it is tested
//
// Scripts under testdata show files and their errors word for word. A fuzz test
// looks for panics and for specs that do not survive Format. Other tests compare
// the schema, the key tables and the types of package supervisor.
package spec
