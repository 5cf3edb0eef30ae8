// Methods of strings, dictionaries and lists, as Python has them.

#include <algorithm>
#include <iterator>

#include "base/core/utf8.h"
#include "base/template/machine.h"
#include "base/template/text_functions.h"

namespace base::tmpl {
namespace {

Result<Value> to_list(Machine& machine, const std::vector<std::string_view>& parts,
                      bool tuple = false) {
    DG_TRY(machine.meter().step(parts.size()));
    std::vector<Value> items;
    items.reserve(parts.size());
    for (const std::string_view part : parts) {
        DG_TRY(machine.meter().allocate(sizeof(TextBody)));
        items.push_back(DG_TRY(machine.heap().text(std::string(part))));
    }
    machine.meter().release(parts.size() * sizeof(TextBody));
    return Value(DG_TRY(machine.heap().list(std::move(items), tuple)));
}

template <Side side>
Result<Value> strip(Machine& machine, const Value& self, Arguments& arguments) {
    std::optional<std::string_view> chars;
    const Value* given = arguments.find(0, "chars");
    if (given != nullptr && !is_none(*given)) {
        chars = DG_TRY(text_argument(arguments, 0, "chars", "strip"));
        DG_TRY(machine.meter().search(text_of(self).size(), chars->size()));
    }
    return machine.heap().text(std::string(stripped(text_of(self), chars, side)));
}

template <bool from_right>
Result<Value> split_method(Machine& machine, const Value& self, Arguments& arguments) {
    const std::string_view text = text_of(self);
    const std::int64_t splits_max = DG_TRY(integer_argument(arguments, 1, "maxsplit", -1));
    const Value* separator = arguments.find(0, "sep");
    if (separator == nullptr || is_none(*separator)) {
        DG_TRY(machine.meter().step(text.size() / 16));
        return to_list(machine, split_spaces(text, splits_max));
    }
    const std::string_view mark = DG_TRY(text_argument(arguments, 0, "sep", "split"));
    if (mark.empty())
        return fail(Code::invalid_argument, "split needs a separator that is not empty");
    DG_TRY(machine.meter().search(text.size(), mark.size()));
    return to_list(machine, from_right ? split_from_right(text, mark, splits_max)
                                       : split(text, mark, splits_max));
}

Result<Value> splitlines(Machine& machine, const Value& self, Arguments& arguments) {
    return to_list(machine,
                   split_lines(text_of(self), flag_argument(arguments, 0, "keepends", false)));
}

template <bool at_start>
Result<Value> has_affix(Machine&, const Value& self, Arguments& arguments) {
    const std::string_view text = text_of(self);
    const auto matches = [&](std::string_view part) {
        return at_start ? text.starts_with(part) : text.ends_with(part);
    };
    const Value* part = arguments.find(0, "prefix");
    if (const List* any = part != nullptr ? as_list(*part) : nullptr) {
        return Value(std::any_of(any->items.begin(), any->items.end(), [&](const Value& item) {
            return is_text(item) && matches(text_of(item));
        }));
    }
    return Value(matches(DG_TRY(text_argument(arguments, 0, "prefix", "startswith/endswith"))));
}

Result<Value> replace(Machine& machine, const Value& self, Arguments& arguments) {
    const std::string_view from = DG_TRY(text_argument(arguments, 0, "old", "replace"));
    const std::string_view to = DG_TRY(text_argument(arguments, 1, "new", "replace"));
    DG_TRY(machine.meter().search(text_of(self).size(), from.size()));
    // The bound is loose, so it only stops what could not fit in any case.
    if (replaced_bytes_max(text_of(self), from, to) > (std::size_t{1} << 20)) {
        const std::string once = replaced(text_of(self), from, "", -1);
        const std::size_t matches = from.empty()
                                        ? text_of(self).size() + 1
                                        : (text_of(self).size() - once.size()) / from.size();
        DG_TRY(machine.meter().fits(once.size() + matches * to.size()));
    }
    return machine.heap().text(
        replaced(text_of(self), from, to, DG_TRY(integer_argument(arguments, 2, "count", -1))));
}

Result<Value> upper(Machine& machine, const Value& self, Arguments&) {
    return machine.heap().text(to_upper(text_of(self)));
}
Result<Value> lower(Machine& machine, const Value& self, Arguments&) {
    return machine.heap().text(to_lower(text_of(self)));
}
Result<Value> capitalize(Machine& machine, const Value& self, Arguments&) {
    return machine.heap().text(capitalized(text_of(self)));
}
Result<Value> title(Machine& machine, const Value& self, Arguments&) {
    return machine.heap().text(titled(text_of(self), [](char32_t before) {
        const std::string one = [&] {
            std::string s;
            append_utf8(s, before);
            return s;
        }();
        return to_upper(one) == to_lower(one);
    }));
}

Result<Value> join(Machine& machine, const Value& self, Arguments& arguments) {
    if (arguments.positional.size() != 1) {
        return fail(Code::invalid_argument, "join takes the items to join");
    }
    std::string out;
    bool first = true;
    for (const Value& item : DG_TRY(machine.iterate(arguments.positional[0]))) {
        if (!is_text(item)) {
            return fail(Code::invalid_argument, "join needs strings, found a {}", kind_name(item));
        }
        if (!std::exchange(first, false)) out.append(text_of(self));
        out.append(text_of(item));
        DG_TRY(machine.meter().fits(out.size()));
    }
    return machine.heap().text(std::move(out));
}

Result<Value> format(Machine& machine, const Value& self, Arguments& arguments) {
    return machine.heap().text(DG_TRY(format_braces(machine, text_of(self), arguments)));
}

template <bool from_right, bool must>
Result<Value> find(Machine& machine, const Value& self, Arguments& arguments) {
    const std::string_view text = text_of(self);
    const std::string_view part = DG_TRY(text_argument(arguments, 0, "sub", "find"));
    DG_TRY(machine.meter().search(text.size(), part.size()));
    const std::size_t at = from_right ? text.rfind(part) : text.find(part);
    if (at != std::string_view::npos) {
        return Value(static_cast<std::int64_t>(utf8_length(text.substr(0, at))));
    }
    if (must) return fail(Code::invalid_argument, "index: \"{}\" is not in the text", part);
    return Value(std::int64_t{-1});
}

Result<Value> count_text(Machine& machine, const Value& self, Arguments& arguments) {
    const std::string_view part = DG_TRY(text_argument(arguments, 0, "sub", "count"));
    DG_TRY(machine.meter().search(text_of(self).size(), part.size()));
    if (part.empty()) return Value(static_cast<std::int64_t>(utf8_length(text_of(self)) + 1));
    return Value(static_cast<std::int64_t>(split(text_of(self), part, -1).size() - 1));
}

template <bool (*test)(unsigned char)>
Result<Value> all_bytes(Machine&, const Value& self, Arguments&) {
    const std::string_view text = text_of(self);
    return Value(!text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return test(static_cast<unsigned char>(c));
    }));
}
bool digit(unsigned char c) {
    return c >= '0' && c <= '9';
}
// Letters past ASCII count as letters, whatever they are.
bool letter(unsigned char c) {
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c >= 0x80;
}
bool letter_or_digit(unsigned char c) {
    return letter(c) || digit(c);
}
bool blank(unsigned char c) {
    return is_space(c);
}

Result<Value> is_upper(Machine&, const Value& self, Arguments&) {
    return Value(to_upper(text_of(self)) == text_of(self) &&
                 to_lower(text_of(self)) != text_of(self));
}
Result<Value> is_lower(Machine&, const Value& self, Arguments&) {
    return Value(to_lower(text_of(self)) == text_of(self) &&
                 to_upper(text_of(self)) != text_of(self));
}

template <bool at_start>
Result<Value> remove_affix(Machine& machine, const Value& self, Arguments& arguments) {
    std::string_view text = text_of(self);
    const std::string_view part = DG_TRY(text_argument(arguments, 0, "prefix", "removeprefix"));
    if (at_start && text.starts_with(part)) text.remove_prefix(part.size());
    if (!at_start && text.ends_with(part)) text.remove_suffix(part.size());
    return machine.heap().text(std::string(text));
}

template <bool from_right>
Result<Value> partition(Machine& machine, const Value& self, Arguments& arguments) {
    const std::string_view text = text_of(self);
    const std::string_view mark = DG_TRY(text_argument(arguments, 0, "sep", "partition"));
    if (mark.empty()) return fail(Code::invalid_argument, "partition needs a separator");
    DG_TRY(machine.meter().search(text.size(), mark.size()));
    const std::size_t at = from_right ? text.rfind(mark) : text.find(mark);
    if (at == std::string_view::npos) {
        if (from_right) return to_list(machine, {"", "", text}, true);
        return to_list(machine, {text, "", ""}, true);
    }
    return to_list(machine, {text.substr(0, at), mark, text.substr(at + mark.size())}, true);
}

template <Side side>
Result<Value> pad(Machine& machine, const Value& self, Arguments& arguments) {
    const std::string_view text = text_of(self);
    const std::int64_t width = DG_TRY(integer_argument(arguments, 0, "width", 0));
    const auto length = static_cast<std::int64_t>(utf8_length(text));
    const auto missing = static_cast<std::size_t>(std::max<std::int64_t>(width - length, 0));
    DG_TRY(machine.meter().fits(text.size() + missing));
    const std::size_t left = side == Side::left ? missing : side == Side::both ? missing / 2 : 0;
    std::string out(left, ' ');
    out.append(text).append(missing - left, ' ');
    return machine.heap().text(std::move(out));
}

Result<Value> zfill(Machine& machine, const Value& self, Arguments& arguments) {
    const std::string_view text = text_of(self);
    const std::int64_t width = DG_TRY(integer_argument(arguments, 0, "width", 0));
    const auto length = static_cast<std::int64_t>(utf8_length(text));
    const auto missing = static_cast<std::size_t>(std::max<std::int64_t>(width - length, 0));
    DG_TRY(machine.meter().fits(text.size() + missing));
    const std::size_t sign = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
    return machine.heap().text(
        std::string(text.substr(0, sign)).append(missing, '0').append(text.substr(sign)));
}

Result<Value> get(Machine&, const Value& self, Arguments& arguments) {
    const Value* key = arguments.find(0, "key");
    if (key == nullptr) return fail(Code::invalid_argument, "get needs a key");
    if (const Value* found = as_dict(self)->find(*key)) return *found;
    const Value* fallback = arguments.find(1, "default");
    return fallback != nullptr ? *fallback : Value(None{});
}

Result<Value> items(Machine& machine, const Value& self, Arguments&) {
    List* pairs = DG_TRY(machine.heap().list());
    for (const auto& [key, value] : as_dict(self)->entries) {
        DG_TRY(machine.heap().grow());
        pairs->items.emplace_back(DG_TRY(machine.heap().list({key, value}, true)));
    }
    return Value(pairs);
}

Result<Value> keys(Machine& machine, const Value& self, Arguments&) {
    return Value(DG_TRY(machine.heap().list(DG_TRY(machine.iterate(self)))));
}

Result<Value> values(Machine& machine, const Value& self, Arguments&) {
    List* all = DG_TRY(machine.heap().list());
    for (const auto& entry : as_dict(self)->entries) {
        DG_TRY(machine.heap().grow());
        all->items.push_back(entry.second);
    }
    return Value(all);
}

Result<Value> update(Machine& machine, const Value& self, Arguments& arguments) {
    Dict& dict = *as_dict(self);
    if (!arguments.positional.empty()) {
        const Dict* other = as_dict(arguments.positional[0]);
        if (other == nullptr) return fail(Code::invalid_argument, "update needs a dict");
        const auto entries = other->entries;  // a copy, because it may be this very dict
        for (const auto& [key, value] : entries) DG_TRY(machine.heap().set(dict, key, value));
    }
    for (const auto& [name, value] : arguments.named) {
        DG_TRY(machine.heap().set(dict, DG_TRY(machine.heap().text(name)), value));
    }
    return Value(None{});
}

Result<Value> pop_key(Machine& machine, const Value& self, Arguments& arguments) {
    Dict& dict = *as_dict(self);
    const Value* key = arguments.find(0, "key");
    if (key == nullptr) return fail(Code::invalid_argument, "pop needs a key");
    DG_TRY(machine.meter().step(dict.entries.size()));
    if (const Value* found = dict.find(*key)) {
        Value value = *found;
        dict.erase(*key);
        return value;
    }
    const Value* fallback = arguments.find(1, "default");
    if (fallback != nullptr) return *fallback;
    return fail(Code::invalid_argument, "pop: the dict has no such key");
}

Result<Value> set_default(Machine& machine, const Value& self, Arguments& arguments) {
    const Value* key = arguments.find(0, "key");
    if (key == nullptr) return fail(Code::invalid_argument, "setdefault needs a key");
    Dict& dict = *as_dict(self);
    if (const Value* found = dict.find(*key)) return *found;
    const Value* fallback = arguments.find(1, "default");
    Value value = fallback != nullptr ? *fallback : Value(None{});
    DG_TRY(machine.heap().set(dict, *key, value));
    return value;
}

Result<Value> copy_dict(Machine& machine, const Value& self, Arguments&) {
    Dict* copy = DG_TRY(machine.heap().dict());
    for (const auto& [key, value] : as_dict(self)->entries) {
        DG_TRY(machine.heap().set(*copy, key, value));
    }
    return Value(copy);
}

Result<Value> append(Machine& machine, const Value& self, Arguments& arguments) {
    if (arguments.positional.size() != 1) {
        return fail(Code::invalid_argument, "append takes one item");
    }
    DG_TRY(machine.heap().grow());
    as_list(self)->items.push_back(arguments.positional[0]);
    return Value(None{});
}

Result<Value> extend(Machine& machine, const Value& self, Arguments& arguments) {
    if (arguments.positional.size() != 1)
        return fail(Code::invalid_argument, "extend takes a list");
    for (Value& item : DG_TRY(machine.iterate(arguments.positional[0]))) {
        DG_TRY(machine.heap().grow());
        as_list(self)->items.push_back(std::move(item));
    }
    return Value(None{});
}

Result<Value> insert(Machine& machine, const Value& self, Arguments& arguments) {
    if (arguments.positional.size() != 2) {
        return fail(Code::invalid_argument, "insert takes a place and an item");
    }
    auto& list = as_list(self)->items;
    const auto size = static_cast<std::int64_t>(list.size());
    std::int64_t at = DG_TRY(integer_argument(arguments, 0, "index", 0));
    at = std::clamp<std::int64_t>(at < 0 ? at + size : at, 0, size);
    DG_TRY(machine.heap().grow());
    DG_TRY(machine.meter().step(list.size() / 8));
    list.insert(list.begin() + at, arguments.positional[1]);
    return Value(None{});
}

Result<Value> pop_item(Machine& machine, const Value& self, Arguments& arguments) {
    auto& list = as_list(self)->items;
    const auto size = static_cast<std::int64_t>(list.size());
    std::int64_t at = DG_TRY(integer_argument(arguments, 0, "index", -1));
    if (at < 0) at += size;
    if (at < 0 || at >= size) return fail(Code::invalid_argument, "pop: the list has no such item");
    DG_TRY(machine.meter().step(list.size() / 8));
    Value value = list[static_cast<std::size_t>(at)];
    list.erase(list.begin() + at);
    return value;
}

Result<std::int64_t> place_of(Machine& machine, const Value& self, Arguments& arguments) {
    const auto& list = as_list(self)->items;
    for (std::size_t i = 0; i < list.size() && !arguments.positional.empty(); ++i) {
        DG_TRY(machine.meter().step());
        if (DG_TRY(equal(machine.meter(), list[i], arguments.positional[0]))) {
            return static_cast<std::int64_t>(i);
        }
    }
    return fail(Code::invalid_argument, "the list has no such item");
}

Result<Value> index_of(Machine& machine, const Value& self, Arguments& arguments) {
    return Value(DG_TRY(place_of(machine, self, arguments)));
}

Result<Value> remove(Machine& machine, const Value& self, Arguments& arguments) {
    auto& list = as_list(self)->items;
    list.erase(list.begin() + DG_TRY(place_of(machine, self, arguments)));
    return Value(None{});
}

Result<Value> count_items(Machine& machine, const Value& self, Arguments& arguments) {
    std::int64_t count = 0;
    for (const Value& item : as_list(self)->items) {
        DG_TRY(machine.meter().step());
        if (!arguments.positional.empty()) {
            count += DG_TRY(equal(machine.meter(), item, arguments.positional[0])) ? 1 : 0;
        }
    }
    return Value(count);
}

Result<Value> reverse(Machine& machine, const Value& self, Arguments&) {
    DG_TRY(machine.meter().step(as_list(self)->items.size()));
    std::reverse(as_list(self)->items.begin(), as_list(self)->items.end());
    return Value(None{});
}

Result<Value> copy_list(Machine& machine, const Value& self, Arguments&) {
    return Value(DG_TRY(machine.heap().list(as_list(self)->items)));
}

using Method = std::pair<std::string_view, MethodFunction>;

constexpr Method kTextMethods[] = {
    {"strip", strip<Side::both>},
    {"lstrip", strip<Side::left>},
    {"rstrip", strip<Side::right>},
    {"split", split_method<false>},
    {"rsplit", split_method<true>},
    {"splitlines", splitlines},
    {"startswith", has_affix<true>},
    {"endswith", has_affix<false>},
    {"replace", replace},
    {"upper", upper},
    {"lower", lower},
    {"casefold", lower},
    {"capitalize", capitalize},
    {"title", title},
    {"join", join},
    {"format", format},
    {"find", find<false, false>},
    {"rfind", find<true, false>},
    {"index", find<false, true>},
    {"count", count_text},
    {"isdigit", all_bytes<digit>},
    {"isnumeric", all_bytes<digit>},
    {"isdecimal", all_bytes<digit>},
    {"isalpha", all_bytes<letter>},
    {"isalnum", all_bytes<letter_or_digit>},
    {"isspace", all_bytes<blank>},
    {"isupper", is_upper},
    {"islower", is_lower},
    {"removeprefix", remove_affix<true>},
    {"removesuffix", remove_affix<false>},
    {"partition", partition<false>},
    {"rpartition", partition<true>},
    {"ljust", pad<Side::right>},
    {"rjust", pad<Side::left>},
    {"center", pad<Side::both>},
    {"zfill", zfill},
};

constexpr Method kDictMethods[] = {
    {"get", get},
    {"items", items},
    {"keys", keys},
    {"values", values},
    {"update", update},
    {"pop", pop_key},
    {"setdefault", set_default},
    {"copy", copy_dict},
};

constexpr Method kListMethods[] = {
    {"append", append},     {"extend", extend},   {"insert", insert},
    {"pop", pop_item},      {"index", index_of},  {"remove", remove},
    {"count", count_items}, {"reverse", reverse}, {"copy", copy_list},
};

template <std::size_t n>
MethodFunction lookup(const Method (&table)[n], std::string_view name) {
    const Method* found = std::find_if(std::begin(table), std::end(table),
                                       [&](auto& method) { return method.first == name; });
    return found == std::end(table) ? nullptr : found->second;
}

}  // namespace

MethodFunction find_method(const Value& self, std::string_view name) {
    if (is_text(self)) return lookup(kTextMethods, name);
    if (as_dict(self) != nullptr) return lookup(kDictMethods, name);
    if (as_list(self) != nullptr) return lookup(kListMethods, name);
    return nullptr;
}

}  // namespace base::tmpl
