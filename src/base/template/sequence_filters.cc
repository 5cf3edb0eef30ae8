// Filters on lists and dictionaries.

#include <algorithm>
#include <iterator>

#include "base/core/utf8.h"
#include "base/template/filter_tables.h"
#include "base/template/text_functions.h"

namespace base::tmpl {
namespace {

/// `value.a.b.0` for the path "a.b.0", as `map(attribute=...)` and its like have it.
Result<Value> by_path(Machine& machine, Value value, const Value& path) {
    if (as_integer(path)) return machine.item(value, path);
    if (!is_text(path)) return fail(Code::invalid_argument, "an attribute is named by a string");
    for (const std::string_view part : split(text_of(path), ".", -1)) {
        const bool number = !part.empty() && std::all_of(part.begin(), part.end(), [](char c) {
            return c >= '0' && c <= '9';
        });
        const Value key = number && part.size() < 10
                              ? Value(std::int64_t{std::stoll(std::string(part))})
                              : constant_text(part);
        value = DG_TRY(machine.item(value, key));
    }
    return value;
}

/// What a filter that takes an attribute looks at: the item itself without one.
Result<Value> looked_at(Machine& machine, const Value& item, const Value* path) {
    if (path == nullptr || is_none(*path)) return item;
    return by_path(machine, item, *path);
}

Result<Value> ignoring_case(Machine& machine, Value value, bool case_sensitive) {
    if (case_sensitive || !is_text(value)) return value;
    return machine.heap().text(to_lower(text_of(value)));
}

Result<Value> make_list(Machine& machine, std::vector<Value> items) {
    return Value(DG_TRY(machine.heap().list(std::move(items))));
}

Result<Value> length(Machine&, const Value& input, Arguments&) {
    if (const auto text = as_text(input))
        return Value(static_cast<std::int64_t>(utf8_length(*text)));
    if (const List* list = as_list(input))
        return Value(static_cast<std::int64_t>(list->items.size()));
    if (const Dict* dict = as_dict(input))
        return Value(static_cast<std::int64_t>(dict->entries.size()));
    if (is_undefined(input)) return Value(std::int64_t{0});
    return fail(Code::invalid_argument, "a {} has no length", kind_name(input));
}

Result<Value> to_list(Machine& machine, const Value& input, Arguments&) {
    return make_list(machine, DG_TRY(machine.iterate(input)));
}

Result<Value> first(Machine& machine, const Value& input, Arguments&) {
    if (is_text(input)) return machine.item(input, Value(std::int64_t{0}));
    auto items = DG_TRY(machine.iterate(input));
    return items.empty() ? Value(Undefined{"the first item of nothing"}) : items.front();
}

Result<Value> last(Machine& machine, const Value& input, Arguments&) {
    if (is_text(input)) return machine.item(input, Value(std::int64_t{-1}));
    auto items = DG_TRY(machine.iterate(input));
    return items.empty() ? Value(Undefined{"the last item of nothing"}) : items.back();
}

Result<Value> join(Machine& machine, const Value& input, Arguments& arguments) {
    const Value* separator = arguments.find(0, "d");
    const std::string between = separator != nullptr ? DG_TRY(machine.print(*separator)) : "";
    const Value* path = arguments.find(1, "attribute");
    std::string out;
    bool is_first = true;
    for (const Value& item : DG_TRY(machine.iterate(input))) {
        if (!std::exchange(is_first, false)) out.append(between);
        out.append(DG_TRY(machine.print(DG_TRY(looked_at(machine, item, path)))));
        DG_TRY(machine.meter().fits(out.size()));
    }
    return machine.heap().text(std::move(out));
}

Result<Value> items(Machine& machine, const Value& input, Arguments& arguments) {
    if (is_undefined(input)) return make_list(machine, {});
    if (as_dict(input) == nullptr) {
        return fail(Code::invalid_argument, "the filter \"items\" needs a dict, found a {}",
                    kind_name(input));
    }
    return find_method(input, "items")(machine, input, arguments);
}

struct Keyed {
    Value key;
    Value item;
};

/// Stable, by key. Comparing may fail, so this is a merge sort that can stop.
Result<void> sort_keyed(Machine& machine, std::vector<Keyed>& all, bool reverse) {
    std::vector<Keyed> spare(all.size());
    for (std::size_t width = 1; width < all.size(); width *= 2) {
        for (std::size_t begin = 0; begin < all.size(); begin += 2 * width) {
            const std::size_t middle = std::min(begin + width, all.size());
            const std::size_t end = std::min(begin + 2 * width, all.size());
            std::size_t left = begin;
            std::size_t right = middle;
            for (std::size_t out = begin; out < end; ++out) {
                DG_TRY(machine.meter().step());
                bool take_right = left == middle;
                if (left < middle && right < end) {
                    const int way = DG_TRY(order(machine.meter(), all[left].key, all[right].key));
                    take_right = reverse ? way < 0 : way > 0;
                }
                spare[out] = std::move(all[take_right ? right++ : left++]);
            }
        }
        all.swap(spare);
    }
    return {};
}

Result<Value> sort(Machine& machine, const Value& input, Arguments& arguments) {
    const bool reverse = flag_argument(arguments, 0, "reverse", false);
    const bool case_sensitive = flag_argument(arguments, 1, "case_sensitive", false);
    const Value* path = arguments.find(2, "attribute");
    std::vector<Keyed> keyed;
    for (Value& item : DG_TRY(machine.iterate(input))) {
        Value key = DG_TRY(looked_at(machine, item, path));
        keyed.push_back({DG_TRY(ignoring_case(machine, key, case_sensitive)), std::move(item)});
    }
    DG_TRY(sort_keyed(machine, keyed, reverse));
    std::vector<Value> sorted;
    for (Keyed& entry : keyed) sorted.push_back(std::move(entry.item));
    return make_list(machine, std::move(sorted));
}

Result<Value> dictsort(Machine& machine, const Value& input, Arguments& arguments) {
    const Dict* dict = as_dict(input);
    if (dict == nullptr) {
        return fail(Code::invalid_argument, "dictsort needs a dict, found a {}", kind_name(input));
    }
    const bool case_sensitive = flag_argument(arguments, 0, "case_sensitive", false);
    std::string_view by = "key";
    if (arguments.find(1, "by") != nullptr) {
        by = DG_TRY(text_argument(arguments, 1, "by", "dictsort"));
    }
    const bool reverse = flag_argument(arguments, 2, "reverse", false);
    std::vector<Keyed> keyed;
    for (const auto& [key, value] : dict->entries) {
        Value pair = Value(DG_TRY(machine.heap().list({key, value}, true)));
        const Value& looked = by == "value" ? value : key;
        keyed.push_back({DG_TRY(ignoring_case(machine, looked, case_sensitive)), std::move(pair)});
    }
    DG_TRY(sort_keyed(machine, keyed, reverse));
    std::vector<Value> sorted;
    for (Keyed& entry : keyed) sorted.push_back(std::move(entry.item));
    return make_list(machine, std::move(sorted));
}

Result<Value> unique(Machine& machine, const Value& input, Arguments& arguments) {
    const bool case_sensitive = flag_argument(arguments, 0, "case_sensitive", false);
    const Value* path = arguments.find(1, "attribute");
    Dict seen;
    std::vector<Value> kept;
    for (Value& item : DG_TRY(machine.iterate(input))) {
        DG_TRY(machine.meter().step());
        Value key = DG_TRY(looked_at(machine, item, path));
        key = DG_TRY(ignoring_case(machine, key, case_sensitive));
        if (seen.find(key) != nullptr) continue;
        DG_TRY(machine.heap().set(seen, key, None{}));
        kept.push_back(std::move(item));
    }
    return make_list(machine, std::move(kept));
}

Result<Value> reverse(Machine& machine, const Value& input, Arguments&) {
    auto all = DG_TRY(machine.iterate(input));
    std::reverse(all.begin(), all.end());
    if (!is_text(input)) return make_list(machine, std::move(all));
    std::string out;
    for (const Value& character : all) out.append(text_of(character));
    return machine.heap().text(std::move(out));
}

template <bool largest>
Result<Value> extreme(Machine& machine, const Value& input, Arguments& arguments) {
    const bool case_sensitive = flag_argument(arguments, 0, "case_sensitive", false);
    const Value* path = arguments.find(1, "attribute");
    std::optional<Keyed> best;
    for (Value& item : DG_TRY(machine.iterate(input))) {
        DG_TRY(machine.meter().step());
        Value key = DG_TRY(looked_at(machine, item, path));
        key = DG_TRY(ignoring_case(machine, key, case_sensitive));
        const int way = best ? DG_TRY(order(machine.meter(), key, best->key)) : 0;
        if (!best || (largest ? way > 0 : way < 0)) best = Keyed{std::move(key), std::move(item)};
    }
    return best ? best->item : Value(Undefined{"the extreme of nothing"});
}

Result<Value> sum(Machine& machine, const Value& input, Arguments& arguments) {
    const Value* path = arguments.find(0, "attribute");
    const Value* start = arguments.find(1, "start");
    Value total = start != nullptr ? *start : Value(std::int64_t{0});
    for (const Value& item : DG_TRY(machine.iterate(input))) {
        const Value part = DG_TRY(looked_at(machine, item, path));
        total = DG_TRY(machine.arithmetic(Operator::add, total, part));
    }
    return total;
}

Result<Value> batch(Machine& machine, const Value& input, Arguments& arguments) {
    const std::int64_t size = DG_TRY(integer_argument(arguments, 0, "linecount", 0));
    if (size < 1 || size > 1'000'000) return fail(Code::invalid_argument, "batch: size {}", size);
    const Value* filler = arguments.find(1, "fill_with");
    std::vector<Value> batches;
    List* current = nullptr;
    for (Value& item : DG_TRY(machine.iterate(input))) {
        if (current == nullptr || static_cast<std::int64_t>(current->items.size()) == size) {
            current = DG_TRY(machine.heap().list());
            batches.emplace_back(current);
        }
        current->items.push_back(std::move(item));
    }
    while (filler != nullptr && current != nullptr &&
           static_cast<std::int64_t>(current->items.size()) < size) {
        DG_TRY(machine.heap().grow());
        current->items.push_back(*filler);
    }
    return make_list(machine, std::move(batches));
}

Result<Value> slices(Machine& machine, const Value& input, Arguments& arguments) {
    const std::int64_t count = DG_TRY(integer_argument(arguments, 0, "slices", 0));
    if (count < 1 || count > 1'000'000)
        return fail(Code::invalid_argument, "slice: {} parts", count);
    const Value* filler = arguments.find(1, "fill_with");
    const auto all = DG_TRY(machine.iterate(input));
    const std::size_t parts = static_cast<std::size_t>(count);
    const std::size_t larger = all.size() % parts;
    std::vector<Value> out;
    std::size_t at = 0;
    for (std::size_t part = 0; part < parts; ++part) {
        const std::size_t size = all.size() / parts + (part < larger ? 1 : 0);
        List* list = DG_TRY(machine.heap().list());
        for (std::size_t i = 0; i < size; ++i) list->items.push_back(all[at++]);
        if (filler != nullptr && larger > 0 && part >= larger) list->items.push_back(*filler);
        out.emplace_back(list);
    }
    return make_list(machine, std::move(out));
}

/// The arguments after the first `count` positional ones.
Arguments rest_of(const Arguments& arguments, std::size_t count) {
    Arguments rest = arguments;
    const auto dropped = static_cast<std::ptrdiff_t>(std::min(count, rest.positional.size()));
    rest.positional.erase(rest.positional.begin(), rest.positional.begin() + dropped);
    return rest;
}

Result<Value> map(Machine& machine, const Value& input, Arguments& arguments) {
    const Value* path = arguments.find(SIZE_MAX, "attribute");
    const Value* otherwise = arguments.find(SIZE_MAX, "default");
    std::vector<Value> mapped;
    if (!is_true(input)) return make_list(machine, {});  // none too, as in Jinja
    for (const Value& item : DG_TRY(machine.iterate(input))) {
        DG_TRY(machine.meter().step());
        if (path != nullptr) {
            Value value = DG_TRY(by_path(machine, item, *path));
            mapped.push_back(is_undefined(value) && otherwise != nullptr ? *otherwise : value);
            continue;
        }
        const std::string_view name = DG_TRY(text_argument(arguments, 0, "filter", "map"));
        Arguments rest = rest_of(arguments, 1);
        mapped.push_back(DG_TRY(machine.apply_filter(name, item, rest)));
    }
    return make_list(machine, std::move(mapped));
}

/// select, reject, selectattr and rejectattr: keep items whose value passes a test.
template <bool by_attribute, bool keep>
Result<Value> choose(Machine& machine, const Value& input, Arguments& arguments) {
    constexpr std::size_t kTestPlace = by_attribute ? 1 : 0;
    if (by_attribute && arguments.positional.empty()) {
        return fail(Code::invalid_argument, "selectattr and rejectattr need an attribute name");
    }
    const Value* path = by_attribute ? &arguments.positional[0] : nullptr;
    std::vector<Value> kept;
    if (!is_true(input)) return make_list(machine, {});  // none too, as in Jinja
    for (Value& item : DG_TRY(machine.iterate(input))) {
        DG_TRY(machine.meter().step());
        const Value value = DG_TRY(looked_at(machine, item, path));
        bool passes = is_true(value);
        if (arguments.positional.size() > kTestPlace) {
            const auto name = DG_TRY(text_argument(arguments, kTestPlace, "test", "select"));
            Arguments rest = rest_of(arguments, kTestPlace + 1);
            passes = DG_TRY(machine.apply_test(name, value, rest));
        }
        if (passes == keep) kept.push_back(std::move(item));
    }
    return make_list(machine, std::move(kept));
}

Result<Value> group_by(Machine& machine, const Value& input, Arguments& arguments) {
    const Value* path = arguments.find(0, "attribute");
    if (path == nullptr) return fail(Code::invalid_argument, "groupby needs an attribute");
    std::vector<Keyed> keyed;
    for (Value& item : DG_TRY(machine.iterate(input))) {
        keyed.push_back({DG_TRY(by_path(machine, item, *path)), std::move(item)});
    }
    DG_TRY(sort_keyed(machine, keyed, false));
    std::vector<Value> groups;
    List* current = nullptr;
    for (std::size_t i = 0; i < keyed.size(); ++i) {
        if (i == 0 || !DG_TRY(equal(machine.meter(), keyed[i - 1].key, keyed[i].key))) {
            current = DG_TRY(machine.heap().list());
            groups.emplace_back(DG_TRY(machine.heap().list({keyed[i].key, current}, true)));
        }
        current->items.push_back(keyed[i].item);
    }
    return make_list(machine, std::move(groups));
}

constexpr NamedFilter kFilters[] = {
    {"length", length},
    {"count", length},
    {"list", to_list},
    {"first", first},
    {"last", last},
    {"join", join},
    {"items", items},
    {"dictsort", dictsort},
    {"sort", sort},
    {"unique", unique},
    {"reverse", reverse},
    {"min", extreme<false>},
    {"max", extreme<true>},
    {"sum", sum},
    {"batch", batch},
    {"slice", slices},
    {"map", map},
    {"select", choose<false, true>},
    {"reject", choose<false, false>},
    {"selectattr", choose<true, true>},
    {"rejectattr", choose<true, false>},
    {"groupby", group_by},
};

}  // namespace

std::span<const NamedFilter> sequence_filters() {
    return kFilters;
}

}  // namespace base::tmpl
