#include "base/template/value.h"

#include <algorithm>
#include <cmath>

namespace base::tmpl {
namespace {

// Below this many entries a scan is faster than a hash and needs no index.
constexpr std::size_t kScanEntriesMax = 8;
// JSON and nested literals deeper than this are refused rather than risk the stack.
constexpr int kValueDepthMax = 200;

std::string hashed(const Value& key) {
    if (const auto text = as_text(key)) return "s" + std::string(*text);
    if (const auto integer = as_integer(key)) return "n" + std::to_string(*integer);
    if (const auto* number = std::get_if<double>(&key)) {
        const bool whole = std::floor(*number) == *number && std::fabs(*number) < 9e15;
        return "n" +
               (whole ? std::to_string(static_cast<std::int64_t>(*number)) : print_float(*number));
    }
    if (const List* tuple = as_list(key)) {
        std::string all = "t";
        for (const Value& item : tuple->items) {
            // Tuples inside tuples hash alike, and equality decides; they are not worth recursion.
            const std::string part = as_list(item) != nullptr ? "t" : hashed(item);
            all.append(std::to_string(part.size())).append(":").append(part);
        }
        return all;
    }
    return "0";
}

bool same_key(const Value& a, const Value& b) {
    if (is_text(a) && is_text(b)) return text_of(a) == text_of(b);
    if (is_text(a) || is_text(b)) return false;
    return hashed(a) == hashed(b);
}

}  // namespace

Result<void> Meter::allocate(std::size_t bytes) {
    memory_bytes_ += bytes;
    steps_ += bytes / 64;
    if (memory_bytes_ <= limits_.memory_bytes_max) [[likely]]
        return {};
    return over("bytes of memory", limits_.memory_bytes_max);
}

Result<void> Meter::output(std::size_t bytes) {
    output_bytes_ += bytes;
    steps_ += bytes / 64;
    if (output_bytes_ <= limits_.output_bytes_max) [[likely]]
        return {};
    return over("bytes of output", limits_.output_bytes_max);
}

std::unexpected<Error> Meter::over(std::string_view what, std::uint64_t limit) const {
    return fail(Code::resource_exhausted,
                "the template used more than {} {}; simplify it or raise the limit", limit, what);
}

std::size_t Dict::index_of(const std::string& key) const {
    const auto found = index_.find(key);
    return found == index_.end() ? entries.size() : found->second;
}

const Value* Dict::find(const Value& key) const {
    if (entries.size() <= kScanEntriesMax) {
        for (const auto& [known, value] : entries) {
            if (same_key(known, key)) return &value;
        }
        return nullptr;
    }
    const std::size_t at = index_of(hashed(key));
    return at < entries.size() ? &entries[at].second : nullptr;
}

const Value* Dict::find(std::string_view key) const {
    if (entries.size() <= kScanEntriesMax) {
        for (const auto& [known, value] : entries) {
            if (is_text(known) && text_of(known) == key) return &value;
        }
        return nullptr;
    }
    const std::size_t at = index_of("s" + std::string(key));
    return at < entries.size() ? &entries[at].second : nullptr;
}

void Dict::set(Value key, Value value) {
    if (const Value* known = find(key)) {
        const_cast<Value&>(*known) = std::move(value);
        return;
    }
    entries.emplace_back(std::move(key), std::move(value));
    if (entries.size() == kScanEntriesMax + 1) {
        for (std::size_t i = 0; i < entries.size(); ++i)
            index_.emplace(hashed(entries[i].first), i);
    } else if (entries.size() > kScanEntriesMax) {
        index_.emplace(hashed(entries.back().first), entries.size() - 1);
    }
}

bool Dict::erase(const Value& key) {
    const auto at = std::find_if(entries.begin(), entries.end(),
                                 [&](auto& entry) { return same_key(entry.first, key); });
    if (at == entries.end()) return false;
    entries.erase(at);
    index_.clear();
    if (entries.size() > kScanEntriesMax) {
        for (std::size_t i = 0; i < entries.size(); ++i)
            index_.emplace(hashed(entries[i].first), i);
    }
    return true;
}

const Value* Arguments::find(std::size_t place, std::string_view name) const {
    if (place < positional.size()) return &positional[place];
    for (const auto& [known, value] : named) {
        if (known == name) return &value;
    }
    return nullptr;
}

Result<Value> Heap::text(std::string bytes) {
    DG_TRY(meter.allocate(bytes.size()));
    auto body = std::make_shared<TextBody>();
    body->bytes = std::move(bytes);
    body->meter = &meter;
    return Value(Text(std::move(body)));
}

Result<List*> Heap::list(std::vector<Value> items, bool tuple) {
    DG_TRY(meter.allocate((items.size() + 1) * kElementBytes));
    lists_.push_back(List{std::move(items), tuple});
    return &lists_.back();
}

Result<Dict*> Heap::dict() {
    DG_TRY(meter.allocate(2 * kElementBytes));
    return &dicts_.emplace_back();
}

Result<Function*> Heap::function(std::string name,
                                 std::function<Result<Value>(Machine&, Arguments&)> call) {
    DG_TRY(meter.allocate(2 * kElementBytes));
    functions_.push_back(Function{std::move(name), std::move(call)});
    return &functions_.back();
}

Result<LoopState*> Heap::loop() {
    DG_TRY(meter.allocate(2 * kElementBytes));
    return &loops_.emplace_back();
}

Result<void> Heap::set(Dict& dict, Value key, Value value) {
    DG_TRY(meter.allocate(2 * kElementBytes));
    const List* tuple = as_list(key);
    if (as_dict(key) != nullptr || (tuple != nullptr && !tuple->tuple) || is_undefined(key)) {
        return fail(Code::invalid_argument, "a {} cannot be a key of a dictionary", kind_name(key));
    }
    dict.set(std::move(key), std::move(value));
    return {};
}

Result<Value> Heap::from_json(const json::value& value, int depth) {
    if (depth > kValueDepthMax) {
        return fail(Code::invalid_argument, "a variable is nested more than {} deep",
                    kValueDepthMax);
    }
    DG_TRY(meter.step());
    switch (value.kind()) {
        case json::kind::null:
            return Value(None{});
        case json::kind::bool_:
            return Value(value.get_bool());
        case json::kind::int64:
            return Value(value.get_int64());
        case json::kind::uint64:
            if (value.get_uint64() <= INT64_MAX) {
                return Value(static_cast<std::int64_t>(value.get_uint64()));
            }
            return Value(static_cast<double>(value.get_uint64()));
        case json::kind::double_:
            return Value(value.get_double());
        case json::kind::string:
            return text(std::string(value.get_string()));
        case json::kind::array: {
            List* items = DG_TRY(list());
            items->items.reserve(value.get_array().size());
            for (const json::value& item : value.get_array()) {
                DG_TRY(grow());
                items->items.push_back(DG_TRY(from_json(item, depth + 1)));
            }
            return Value(items);
        }
        case json::kind::object: {
            Dict* items = DG_TRY(dict());
            for (const auto& [key, item] : value.get_object()) {
                Value name = DG_TRY(text(std::string(key)));
                DG_TRY(set(*items, std::move(name), DG_TRY(from_json(item, depth + 1))));
            }
            return Value(items);
        }
    }
    return Value(None{});
}

Value constant_text(std::string_view bytes) {
    auto body = std::make_shared<TextBody>();
    body->bytes = bytes;
    return Text(std::move(body));
}

std::optional<std::string_view> as_text(const Value& v) {
    if (const Text* text = std::get_if<Text>(&v)) return (*text)->bytes;
    return std::nullopt;
}

std::optional<std::int64_t> as_integer(const Value& v) {
    if (const auto* integer = std::get_if<std::int64_t>(&v)) return *integer;
    if (const auto* boolean = std::get_if<bool>(&v)) return *boolean ? 1 : 0;
    return std::nullopt;
}

std::optional<double> as_number(const Value& v) {
    if (const auto* number = std::get_if<double>(&v)) return *number;
    if (const auto integer = as_integer(v)) return static_cast<double>(*integer);
    return std::nullopt;
}

List* as_list(const Value& v) {
    List* const* list = std::get_if<List*>(&v);
    return list != nullptr ? *list : nullptr;
}

Dict* as_dict(const Value& v) {
    Dict* const* dict = std::get_if<Dict*>(&v);
    return dict != nullptr ? *dict : nullptr;
}

std::string_view kind_name(const Value& v) {
    switch (v.index()) {
        case 0:
            return "undefined value";
        case 1:
            return "none";
        case 2:
            return "boolean";
        case 3:
            return "integer";
        case 4:
            return "float";
        case 5:
            return "string";
        case 6:
            return as_list(v)->tuple ? "tuple" : "list";
        case 7:
            return as_dict(v)->is_namespace ? "namespace" : "dict";
        case 8:
            return "function";
        default:
            return "loop";
    }
}

bool is_true(const Value& v) {
    if (const auto* boolean = std::get_if<bool>(&v)) return *boolean;
    if (const auto* integer = std::get_if<std::int64_t>(&v)) return *integer != 0;
    if (const auto* number = std::get_if<double>(&v)) return *number != 0;
    if (const auto text = as_text(v)) return !text->empty();
    if (const List* list = as_list(v)) return !list->items.empty();
    if (const Dict* dict = as_dict(v)) return dict->is_namespace || !dict->entries.empty();
    return !is_undefined(v) && !is_none(v);
}

std::unexpected<Error> fail_undefined(const Value& v) {
    const auto* undefined = std::get_if<Undefined>(&v);
    const bool named = undefined != nullptr && !undefined->name.empty();
    return fail(Code::invalid_argument, "\"{}\" is undefined",
                named ? undefined->name : std::string_view("a value used here"));
}

namespace {

Result<bool> equal_lists(Meter& meter, const List& a, const List& b) {
    if (a.tuple != b.tuple || a.items.size() != b.items.size()) return false;
    for (std::size_t i = 0; i < a.items.size(); ++i) {
        if (!DG_TRY(equal(meter, a.items[i], b.items[i]))) return false;
    }
    return true;
}

Result<bool> equal_dicts(Meter& meter, const Dict& a, const Dict& b) {
    if (&a == &b) return true;
    if (a.is_namespace || b.is_namespace || a.entries.size() != b.entries.size()) return false;
    for (const auto& [key, value] : a.entries) {
        const Value* other = b.find(key);
        if (other == nullptr || !DG_TRY(equal(meter, value, *other))) return false;
    }
    return true;
}

/// Runs `body` one level deeper.
template <class T, class Body>
Result<T> nested(Meter& meter, Body body) {
    DG_TRY(meter.step());
    DG_TRY(meter.enter());
    Result<T> result = body();
    meter.leave();
    return result;
}

}  // namespace

Result<bool> equal(Meter& meter, const Value& a, const Value& b) {
    if (is_text(a) && is_text(b)) {
        if (text_bytes(a) != text_bytes(b)) return false;
        DG_TRY(meter.read(text_bytes(a)));
        return text_of(a) == text_of(b);
    }
    const auto left_integer = as_integer(a);
    const auto right_integer = as_integer(b);
    if (left_integer && right_integer) return *left_integer == *right_integer;
    const auto left_number = as_number(a);
    const auto right_number = as_number(b);
    if (left_number && right_number) return *left_number == *right_number;
    if (a.index() != b.index()) return false;
    if (List* left = as_list(a)) {
        return nested<bool>(meter, [&] { return equal_lists(meter, *left, *as_list(b)); });
    }
    if (Dict* left = as_dict(a)) {
        return nested<bool>(meter, [&] { return equal_dicts(meter, *left, *as_dict(b)); });
    }
    if (is_undefined(a) || is_none(a)) return true;
    if (const auto* function = std::get_if<Function*>(&a)) {
        return *function == std::get<Function*>(b);
    }
    if (const auto* loop = std::get_if<LoopState*>(&a)) return *loop == std::get<LoopState*>(b);
    return false;
}

Result<int> order(Meter& meter, const Value& a, const Value& b) {
    const auto sign = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : 0; };
    if (is_text(a) && is_text(b)) {
        DG_TRY(meter.read(std::min(text_bytes(a), text_bytes(b))));
        return sign(text_of(a), text_of(b));
    }
    const auto left_integer = as_integer(a);
    const auto right_integer = as_integer(b);
    if (left_integer && right_integer) return sign(*left_integer, *right_integer);
    const auto left_number = as_number(a);
    const auto right_number = as_number(b);
    if (left_number && right_number) return sign(*left_number, *right_number);
    const List* left = as_list(a);
    const List* right = as_list(b);
    if (left != nullptr && right != nullptr) {
        return nested<int>(meter, [&]() -> Result<int> {
            const std::size_t common = std::min(left->items.size(), right->items.size());
            for (std::size_t i = 0; i < common; ++i) {
                const int here = DG_TRY(order(meter, left->items[i], right->items[i]));
                if (here != 0) return here;
            }
            return sign(left->items.size(), right->items.size());
        });
    }
    if (is_undefined(a)) return fail_undefined(a);
    if (is_undefined(b)) return fail_undefined(b);
    return fail(Code::invalid_argument, "a {} and a {} have no order", kind_name(a), kind_name(b));
}

Result<json::value> to_json(Meter& meter, const Value& v) {
    if (const auto* boolean = std::get_if<bool>(&v)) return json::value(*boolean);
    if (const auto* integer = std::get_if<std::int64_t>(&v)) return json::value(*integer);
    if (const auto* number = std::get_if<double>(&v)) return json::value(*number);
    if (const auto text = as_text(v)) return json::value(*text);
    if (const List* list = as_list(v)) {
        return nested<json::value>(meter, [&]() -> Result<json::value> {
            json::array items;
            for (const Value& item : list->items) items.push_back(DG_TRY(to_json(meter, item)));
            return json::value(std::move(items));
        });
    }
    if (const Dict* dict = as_dict(v)) {
        return nested<json::value>(meter, [&]() -> Result<json::value> {
            json::object items;
            for (const auto& [key, item] : dict->entries) {
                const std::string name = DG_TRY(print(meter, key));
                items.insert_or_assign(name, DG_TRY(to_json(meter, item)));
            }
            return json::value(std::move(items));
        });
    }
    if (is_undefined(v) || is_none(v)) return json::value(nullptr);
    return fail(Code::invalid_argument, "a {} has no JSON form", kind_name(v));
}

}  // namespace base::tmpl
