package fsm

import (
	"fmt"
	"reflect"
	"testing"
)

// filler gives every field a value of its own, to a depth: children nest.
type filler struct{ n int }

func (f *filler) fill(v reflect.Value, depth int) {
	if f.n++; depth == 0 {
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(f.n))
	case reflect.Uint8, reflect.Uint16, reflect.Uint64:
		v.SetUint(uint64(f.n%255 + 1))
	case reflect.String:
		v.SetString(fmt.Sprint("value ", f.n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), depth-1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		f.fill(v.Index(0), depth-1)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.fill(key, 1)
		f.fill(value, depth-1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i), depth-1)
		}
	default:
		panic(fmt.Sprintf("no value for %v", v.Type()))
	}
}

// TestNoFieldIsLost: every field of an entry and of a snapshot is encoded, those of
// the core included: no two share a number or a name.
func TestNoFieldIsLost(t *testing.T) {
	for _, sent := range []any{new(Entry), new(snapshot)} {
		new(filler).fill(reflect.ValueOf(sent).Elem(), 12)
		got := reflect.New(reflect.TypeOf(sent).Elem())
		if err := decMode.Unmarshal(raw(t, sent), got.Interface()); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Interface(), sent) {
			t.Errorf("%T: encoded was\n%+v, decoded is\n%+v", sent, sent, got.Interface())
		}
	}
}
