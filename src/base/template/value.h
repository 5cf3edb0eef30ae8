#pragma once
// The values a template computes with, printed and compared as Python does.
//
// Strings are shared and counted. Lists, dictionaries, functions and loop states belong to the Heap
// of one render and die with it, so values may refer to each other in circles without leaking.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"
#include "base/template/template.h"

namespace base::tmpl {

class Machine;
struct List;
struct Dict;
struct Function;
struct LoopState;

/// Counts what a render uses and fails when a limit is reached.
class Meter {
public:
    explicit Meter(const RenderLimits& limits) : limits_(limits) {}

    Result<void> step(std::uint64_t steps = 1) {
        steps_ += steps;
        if (steps_ <= limits_.steps_max) [[likely]]
            return {};
        return over("steps", limits_.steps_max);
    }
    /// For looking for one text in another: repetitive ones are compared at every place.
    Result<void> search(std::size_t text_bytes, std::size_t part_bytes) {
        const std::uint64_t compared = part_bytes <= text_bytes ? part_bytes : 0;
        return step(text_bytes / 16 + text_bytes * compared / 1024);
    }
    Result<void> allocate(std::size_t bytes);
    void release(std::size_t bytes) { memory_bytes_ -= bytes; }
    /// Fails when `bytes` more would be too many; for a text that is still being built.
    Result<void> fits(std::size_t bytes) const {
        if (memory_bytes_ + bytes <= limits_.memory_bytes_max) [[likely]]
            return {};
        return over("bytes of memory", limits_.memory_bytes_max);
    }
    Result<void> output(std::size_t bytes);
    Result<void> enter() {
        if (++depth_ <= limits_.depth_max) [[likely]]
            return {};
        return over("levels of nesting", static_cast<std::uint64_t>(limits_.depth_max));
    }
    void leave() { --depth_; }

private:
    std::unexpected<Error> over(std::string_view what, std::uint64_t limit) const;

    RenderLimits limits_;
    std::uint64_t steps_ = 0;
    std::size_t memory_bytes_ = 0;
    std::size_t output_bytes_ = 0;
    int depth_ = 0;
};

struct TextBody {
    std::string bytes;
    Meter* meter = nullptr;  ///< told when the bytes are freed; null: not counted
    ~TextBody() {
        if (meter != nullptr) meter->release(bytes.size());
    }
};
using Text = std::shared_ptr<const TextBody>;

/// A name without a value. Prints as nothing, is false, and fails when used.
struct Undefined {
    std::string_view name;  ///< for messages; points into the tree or a table
};
struct None {};

using Value = std::variant<Undefined, None, bool, std::int64_t, double, Text, List*, Dict*,
                           Function*, LoopState*>;

struct List {
    std::vector<Value> items;
    bool tuple = false;
};

/// Insertion-ordered. Keys are strings, numbers, booleans, none, or tuples of these.
struct Dict {
    std::vector<std::pair<Value, Value>> entries;
    bool is_namespace = false;

    const Value* find(const Value& key) const;
    const Value* find(std::string_view key) const;
    /// Adds or replaces.
    void set(Value key, Value value);
    /// False when the key is absent.
    bool erase(const Value& key);

private:
    std::size_t index_of(const std::string& hashed) const;
    std::unordered_map<std::string, std::size_t> index_;
};

struct Arguments {
    std::vector<Value> positional;
    std::vector<std::pair<std::string, Value>> named;

    /// The argument at a place or by name; nullptr when not given.
    const Value* find(std::size_t place, std::string_view name) const;
};

struct Function {
    std::string name;
    std::function<Result<Value>(Machine&, Arguments&)> call;
};

/// What `loop` is inside a for loop.
struct LoopState {
    std::vector<Value> items;
    std::size_t index0 = 0;
    int depth = 1;
    std::optional<std::vector<Value>> changed;  ///< what loop.changed() last saw
    Function* recurse = nullptr;                ///< loop(children), when recursive
};

/// Owns the containers of one render.
class Heap {
public:
    explicit Heap(const RenderLimits& limits) : meter(limits) {}

    Result<Value> text(std::string bytes);
    Result<List*> list(std::vector<Value> items = {}, bool tuple = false);
    Result<Dict*> dict();
    Result<Function*> function(std::string name,
                               std::function<Result<Value>(Machine&, Arguments&)> call);
    Result<LoopState*> loop();
    /// Charges for one more element before a container grows.
    Result<void> grow() { return meter.allocate(kElementBytes); }
    Result<void> set(Dict& dict, Value key, Value value);

    Result<Value> from_json(const json::value& value, int depth = 0);

    Meter meter;

private:
    static constexpr std::size_t kElementBytes = 64;
    std::deque<List> lists_;
    std::deque<Dict> dicts_;
    std::deque<Function> functions_;
    std::deque<LoopState> loops_;
};

/// A text that is not counted, for names and constants.
Value constant_text(std::string_view bytes);

inline bool is_undefined(const Value& v) {
    return std::holds_alternative<Undefined>(v);
}
inline bool is_none(const Value& v) {
    return std::holds_alternative<None>(v);
}
inline bool is_text(const Value& v) {
    return std::holds_alternative<Text>(v);
}
inline std::string_view text_of(const Value& v) {
    return std::get<Text>(v)->bytes;
}
std::optional<std::string_view> as_text(const Value& v);
/// Booleans count as integers, as in Python.
std::optional<std::int64_t> as_integer(const Value& v);
std::optional<double> as_number(const Value& v);
List* as_list(const Value& v);
Dict* as_dict(const Value& v);

/// "string", "list", "dict"... for messages.
std::string_view kind_name(const Value& v);
bool is_true(const Value& v);
/// The error for using a name without a value.
std::unexpected<Error> fail_undefined(const Value& v);

/// Deep equality across integer, float and boolean, with a bound on depth.
Result<bool> equal(Meter& meter, const Value& a, const Value& b);
/// Negative, zero or positive. Errors: invalid_argument when the kinds have no order.
Result<int> order(Meter& meter, const Value& a, const Value& b);

/// Python's str(): what {{ value }} prints.
Result<std::string> print(Meter& meter, const Value& v);
/// Python's repr(): how a value looks inside a printed list.
Result<void> append_repr(Meter& meter, std::string& out, const Value& v);
/// Python's repr of a float: shortest digits that read back, with ".0" for whole numbers.
std::string print_float(double number);

Result<json::value> to_json(Meter& meter, const Value& v);

struct JsonStyle {
    std::optional<std::string> indent;
    std::string item_separator = ", ";
    std::string key_separator = ": ";
    bool ensure_ascii = false;
    bool sort_keys = false;
};
/// As Python's json.dumps.
Result<void> append_json(Meter& meter, std::string& out, const Value& v, const JsonStyle& style,
                         int depth = 0);

}  // namespace base::tmpl
