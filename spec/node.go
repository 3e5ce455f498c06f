package spec

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// shapeOf is the kind of a YAML value.
type shapeOf int

const (
	nullValue shapeOf = iota
	textValue         // a quoted or plain text
	bareValue         // a plain number or boolean
	listValue
	mapValue
)

// node is a YAML value with its place. An alias is a second pointer to one node.
type node struct {
	is        shapeOf
	line, col int
	text      string // of a scalar, as written but without quotes
	items     []*node
	pairs     []pair
}

type pair struct{ key, value *node }

// get returns the pair of a key, the last if the key stands twice.
func (n *node) get(key string) (pair, bool) {
	for i := len(n.pairs) - 1; i >= 0; i-- {
		if n.pairs[i].key.text == key {
			return n.pairs[i], true
		}
	}
	return pair{}, false
}

// describe names a value in a message.
func (n *node) describe() string {
	switch n.is {
	case nullValue:
		return "nothing"
	case listValue:
		return "a list"
	case mapValue:
		return "a map"
	case bareValue:
		return short(n.text)
	}
	return fmt.Sprintf("%q", short(n.text))
}

// readYAML turns a file into nodes. A panic of the YAML library is an error of
// the file: other people's trees must survive it.
func readYAML(text string) (root *node, fault *Error) {
	defer func() {
		if r := recover(); r != nil {
			root, fault = nil, &Error{Line: 1, Column: 1, Msg: fmt.Sprintf("cannot read this as YAML: %v", r)}
		}
	}()
	tokens, fault := new(guard).tokenize(text)
	if fault != nil {
		return nil, fault
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, syntaxError(err)
	}
	return onlyDocument(file)
}

func onlyDocument(file *ast.File) (*node, *Error) {
	var body ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case body == nil:
			body = doc.Body
		default:
			line, col := place(doc.Body)
			return nil, &Error{Line: line, Column: col, Msg: "a second document begins here", Hint: "a file holds one tree"}
		}
	}
	if body == nil {
		return nil, &Error{Line: 1, Column: 1, Msg: "the file is empty", Hint: "a tree needs name and children"}
	}
	c := converter{anchors: make(map[string]*node)}
	root := c.convert(body)
	return root, c.fault
}

func syntaxError(err error) *Error {
	var y yaml.Error
	if !errors.As(err, &y) || y.GetToken() == nil {
		return &Error{Line: 1, Column: 1, Msg: "cannot read this as YAML: " + short(err.Error())}
	}
	return badYAML(y.GetToken(), y.GetMessage())
}

// converter turns the library's values into nodes. Its recursion is as deep as
// the file is nested, which guard has bounded; aliases are not followed.
type converter struct {
	anchors map[string]*node // nil while the anchor's value is being read
	merged  int
	fault   *Error // the first
}

func (c *converter) fail(n *node, msg, hint string) *node {
	if c.fault == nil {
		c.fault = &Error{Line: n.line, Column: n.col, Text: short(n.text), Msg: msg, Hint: hint}
	}
	return n
}

func (c *converter) convert(from ast.Node) *node {
	n := &node{line: 1, col: 1}
	if from == nil || c.fault != nil {
		return n
	}
	n.line, n.col = place(from)
	switch v := from.(type) {
	case *ast.NullNode:
	case *ast.StringNode:
		n.is, n.text = textValue, v.Value
	case *ast.LiteralNode:
		n.is, n.text = textValue, v.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		n.is, n.text = bareValue, from.GetToken().Value
	case *ast.SequenceNode:
		n.is = listValue
		for _, item := range v.Values {
			n.items = append(n.items, c.convert(item))
		}
	case *ast.MappingNode:
		return c.mapping(n, v.Values)
	case *ast.MappingValueNode:
		return c.mapping(n, []*ast.MappingValueNode{v})
	case *ast.AnchorNode:
		return c.anchor(n, v)
	case *ast.AliasNode:
		return c.alias(n, v)
	default:
		c.fail(n, fmt.Sprintf("%s is not supported here", strings.ToLower(from.Type().String())), "")
	}
	return n
}

func (c *converter) mapping(n *node, values []*ast.MappingValueNode) *node {
	n.is = mapValue
	var merges []*node
	own := make(map[string]bool, len(values))
	for _, v := range values {
		value := c.convert(v.Value)
		if _, merge := v.Key.(*ast.MergeKeyNode); merge {
			merges = append(merges, value)
			continue
		}
		key := c.convert(v.Key)
		if key.is != textValue && key.is != bareValue {
			return c.fail(key, "a key must be a text", "")
		}
		own[key.text] = true
		n.pairs = append(n.pairs, pair{key, value})
	}
	for _, m := range merges {
		c.merge(n, m, own)
	}
	return n
}

// merge adds the pairs of a map, or of each map of a list, that n does not have.
func (c *converter) merge(n, from *node, own map[string]bool) {
	if from.is == listValue {
		for _, item := range from.items {
			if item.is == mapValue {
				c.merge(n, item, own)
			} else {
				c.fail(item, "<< takes a map or a list of maps, not "+item.describe(), "")
			}
		}
		return
	}
	if from.is != mapValue {
		c.fail(from, "<< takes a map or a list of maps, not "+from.describe(), "")
	}
	for _, p := range from.pairs {
		if c.merged++; c.merged > maxValues {
			c.fail(n, fmt.Sprintf("merge keys add more than %d values", maxValues), "")
			return
		}
		if !own[p.key.text] {
			own[p.key.text] = true
			n.pairs = append(n.pairs, p)
		}
	}
}

func (c *converter) anchor(n *node, v *ast.AnchorNode) *node {
	name := v.Name.GetToken().Value
	c.anchors[name] = nil
	value := c.convert(v.Value)
	c.anchors[name] = value
	return value
}

func (c *converter) alias(n *node, v *ast.AliasNode) *node {
	n.text = v.Value.GetToken().Value
	value, known := c.anchors[n.text]
	switch {
	case !known:
		return c.fail(n, fmt.Sprintf("the alias *%s has no anchor before it", short(n.text)), "write &"+short(n.text)+" before the value it stands for")
	case value == nil:
		return c.fail(n, fmt.Sprintf("the alias *%s stands inside its own anchor: the value would contain itself", short(n.text)), "")
	}
	return value
}

// place is where a value begins: of a map, its bracket or its first key.
func place(n ast.Node) (line, col int) {
	tk := n.GetToken()
	switch v := n.(type) {
	case *ast.MappingNode:
		if !v.IsFlowStyle && len(v.Values) > 0 {
			return place(v.Values[0])
		}
		tk = v.Start
	case *ast.MappingValueNode:
		if v.Key != nil {
			tk = v.Key.GetToken()
		}
	case *ast.AnchorNode:
		tk = v.Start
	}
	return position(tk)
}

func position(tk *token.Token) (line, col int) {
	if tk == nil || tk.Position == nil {
		return 1, 1
	}
	return max(1, tk.Position.Line), max(1, tk.Position.Column)
}
