// Copyright (c) Rosey-Robot Team
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Command conf_reader shows how nats-server reads configurations. It takes JSON cases on its standard input, each with
// the files of one configuration and its environment, and answers each with a line of JSON: what the server's own
// parser makes of "main.conf". Texts are written as hexadecimal bytes, for they need not be UTF-8.
package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/conf"
)

type testCase struct {
	Files       map[string]string `json:"files"`
	Environment map[string]string `json:"environment"`
}

type answer struct {
	Error string `json:"error,omitempty"`
	Value any    `json:"value,omitempty"`
}

// token is what the parser wraps each value in.
type token interface {
	Value() any
	IsUsedVariable() bool
}

func encode(value any) any {
	switch v := value.(type) {
	case token:
		return map[string]any{"used": v.IsUsedVariable(), "value": encode(v.Value())}
	case map[string]any:
		settings := make(map[string]any, len(v))
		for key, setting := range v {
			settings[hex.EncodeToString([]byte(key))] = encode(setting)
		}
		return map[string]any{"map": settings}
	case []any:
		elements := make([]any, len(v))
		for i, element := range v {
			elements[i] = encode(element)
		}
		return elements
	case string:
		return "text " + hex.EncodeToString([]byte(v))
	case bool:
		return v
	case int64:
		return "integer " + strconv.FormatInt(v, 10)
	case float64:
		return "float " + strconv.FormatFloat(v, 'x', -1, 64)
	case time.Time:
		return "datetime " + strconv.FormatInt(v.Unix(), 10)
	}
	log.Fatalf("unexpected type %T", value)
	return nil
}

func read(directory string, c testCase) (result answer) {
	defer func() {
		if cause := recover(); cause != nil {
			result = answer{Error: fmt.Sprintf("panic: %v", cause)}
		}
	}()
	os.Clearenv()
	for name, value := range c.Environment {
		if err := os.Setenv(name, value); err != nil {
			log.Fatal(err)
		}
	}
	for name, text := range c.Files {
		path := filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			log.Fatal(err)
		}
	}
	settings, err := conf.ParseFileWithChecks(filepath.Join(directory, "main.conf"))
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Value: encode(settings)}
}

func main() {
	base, err := os.MkdirTemp("", "conf_reader")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(base)
	cases, answers := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for i := 0; ; i++ {
		var c testCase
		if err := cases.Decode(&c); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		directory := filepath.Join(base, strconv.Itoa(i))
		if err := answers.Encode(read(directory, c)); err != nil {
			log.Fatal(err)
		}
		os.RemoveAll(directory)
	}
}
