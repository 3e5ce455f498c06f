package link

import (
	"fmt"
	"reflect"
	"testing"
)

// filler gives every field a value of its own.
type filler struct {
	t *testing.T
	n int
}

func (f *filler) fill(v reflect.Value) {
	f.n++
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(f.n) * 1001)
	case reflect.Uint16, reflect.Uint64:
		v.SetUint(uint64(f.n) * 1001)
	case reflect.Uint8:
		v.SetUint(uint64(1 + f.n%200))
	case reflect.String:
		v.SetString(fmt.Sprint("value ", f.n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		f.fill(v.Index(0))
		f.fill(v.Index(1))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.fill(key)
		f.fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() {
				f.t.Fatalf("%v.%s would not be sent", v.Type(), v.Type().Field(i).Name)
			}
			f.fill(v.Field(i))
		}
	default:
		f.t.Fatalf("no value for %v", v.Type())
	}
}

// TestNoFieldIsLost: every field of every word arrives, those of the core that are
// embedded included: no two share a tag, and none is hidden by another.
func TestNoFieldIsLost(t *testing.T) {
	for _, sent := range []any{new(Up), new(Down), new(Node), new(Life), new(Order)} {
		f := &filler{t: t}
		f.fill(reflect.ValueOf(sent).Elem())
		got := reflect.New(reflect.TypeOf(sent).Elem())
		if err := reading(framed(t, sent)).Read(got.Interface()); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Interface(), sent) {
			t.Errorf("%T: sent\n%+v, received\n%+v", sent, sent, got.Interface())
		}
	}
}

// TestZeroWords: words without content arrive as they are.
func TestZeroWords(t *testing.T) {
	var up Up
	var down Down
	if err := reading(framed(t, Up{})).Read(&up); err != nil || !reflect.DeepEqual(up, Up{}) {
		t.Errorf("%+v %v", up, err)
	}
	if err := reading(framed(t, Down{})).Read(&down); err != nil || !reflect.DeepEqual(down, Down{}) {
		t.Errorf("%+v %v", down, err)
	}
}

// TestTextOfPrograms: text that is no UTF-8 arrives as it is. Refused, it would be
// sent again for ever.
func TestTextOfPrograms(t *testing.T) {
	sent, got := Up{Events: events(1)}, Up{}
	sent.Events[0].Detail = "caf\xe9 \xff\x00"
	if err := reading(framed(t, sent)).Read(&got); err != nil || !reflect.DeepEqual(got, sent) {
		t.Errorf("%+v %v", got, err)
	}
}
