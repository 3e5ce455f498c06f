package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/supervisor/breaker"
)

const (
	// maxAnswer bounds an answer that is read whole.
	maxAnswer = 256 << 20
	// slowTimeout is for what moves the whole state.
	slowTimeout = 2 * time.Minute
)

// request is one request to the node.
type request struct {
	method, path string
	query        url.Values
	body         []byte
	contentType  string
	by           string
	read         bool // may be answered by any replica, if the client is Stale
	slow         bool // may take longer than others
	expects      bool // takes the condition of If
}

func (r *request) json(v any) {
	r.body, _ = json.Marshal(v) // plain structs of strings
	r.contentType = "application/json"
}

// send sends a request and gives the answer if it is no error. The answer's end
// is its body's: what bounds the request in time ends with it.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	limit := c.cfg.Timeout
	if r.slow {
		limit = max(limit, slowTimeout)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	res, err := c.open(ctx, r)
	if err != nil {
		cancel()
		return nil, err
	}
	res.Body = &closer{res.Body, cancel}
	return res, nil
}

// open is send without a limit of time: ctx alone ends it.
func (c *Client) open(ctx context.Context, r request) (*http.Response, error) {
	if c.stale && r.read {
		if r.query == nil {
			r.query = url.Values{}
		}
		r.query.Set("stale", "true")
	}
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	var body io.Reader
	if len(r.body) > 0 {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the node: %w", err)
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	switch {
	case c.tag == api.TagNone && r.expects:
		req.Header.Set("If-None-Match", "*")
	case c.tag != "" && r.expects:
		req.Header.Set("If-Match", strconv.Quote(c.tag))
	}
	if !r.read {
		req.Header.Set(api.HeaderBy, cmp.Or(r.by, c.cfg.By, "api"))
	}
	res, err := c.do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot reach the node at %s: %w", c.where(), unwrapURL(err))
	}
	if res.StatusCode >= 300 && !isHealth(res, r) {
		defer res.Body.Close()
		return nil, problem(res)
	}
	return res, nil
}

// do sends a request if the breaker lets it, and tells that whether the node was
// reached. A caller that gave up says nothing of the node.
func (c *Client) do(req *http.Request) (*http.Response, error) {
	if c.cfg.Breaker == nil {
		return c.http.Do(req)
	}
	done, err := c.cfg.Breaker.Begin()
	if err != nil {
		return nil, err
	}
	outcome := breaker.Panic
	defer func() { done(outcome) }()
	res, err := c.http.Do(req)
	outcome = breaker.OutcomeOf(req.Context(), err)
	return res, err
}

// isHealth: a node without a leader says so with 503, which is an answer.
func isHealth(res *http.Response, r request) bool {
	return r.path == "/v1/health" && strings.HasPrefix(res.Header.Get("Content-Type"), "application/json")
}

// unwrapURL drops the method and URL that net/http puts before an error.
func unwrapURL(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// problem reads an error answer.
func problem(res *http.Response) error {
	p := &api.Problem{}
	text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err := json.Unmarshal(text, p); err != nil || p.Code == "" {
		return &api.Problem{
			Title: http.StatusText(res.StatusCode), Status: res.StatusCode, Code: api.CodeInternal,
			Detail: fmt.Sprintf("cannot understand the answer (%s): is this a selfware API?", res.Status),
		}
	}
	return p
}

// call sends a request and decodes its answer.
func call[T any](ctx context.Context, c *Client, r request) (T, error) {
	var v T
	res, err := c.send(ctx, r)
	if err != nil {
		return v, err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&v); err != nil {
		return v, c.broken(err)
	}
	return v, nil
}

// broken is the error of an answer that ended early.
func (c *Client) broken(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("cannot read the answer of the node at %s: %w", c.where(), err)
}

// closer ends the request's time with its body.
type closer struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close closes the body.
func (c *closer) Close() error {
	defer c.cancel()
	return c.ReadCloser.Close()
}
