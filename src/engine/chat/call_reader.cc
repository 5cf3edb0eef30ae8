#include "engine/chat/call_reader.h"

#include "base/json/json.h"
#include "base/json/json_text.h"
#include "engine/chat/keyed_values.h"

namespace engine::chat {
namespace {

namespace json = base::json;

/// Members of the object around name and arguments, until the arguments begin or it ends.
class JsonHead {
public:
    JsonHead(Cursor& cursor, const ToolSet& tools, bool strict, CallHead& head)
        : cursor_(cursor), tools_(tools), strict_(strict), head_(head) {}

    Scan read() {
        while (depth_ > 0) {
            cursor_.space();
            if (cursor_.ended()) return Scan::more;
            if (cursor_.peek() == '}') {
                cursor_.skip();
                --depth_;
            } else if (cursor_.peek() == ',') {
                cursor_.skip();
            } else {
                const Scan answer = member();
                if (answer != Scan::yes || streams_) return answer;
            }
        }
        if (head_.tool == nullptr) return Scan::no;
        if (!head_.arguments) head_.arguments = "{}";
        return Scan::yes;
    }

private:
    Scan member() {
        std::string key;
        if (const Scan answer = cursor_.string(key); answer != Scan::yes) return answer;
        if (const Scan answer = cursor_.take(':'); answer != Scan::yes) return answer;
        cursor_.space();
        if (cursor_.ended()) return Scan::more;
        const char first = cursor_.peek();
        if (key == "function" && first == '{') {
            cursor_.skip();
            ++depth_;
            return Scan::yes;
        }
        if (key == "name" || key == "tool_name" || key == "function") return name();
        if (key == "arguments" || key == "parameters") return arguments(first);
        if (strict_ && key != "type" && key != "id") return Scan::no;
        std::string_view unused;
        return cursor_.value(unused);
    }

    Scan name() {
        std::string name;
        if (const Scan answer = cursor_.string(name); answer != Scan::yes) return answer;
        head_.tool = tools_.find(name);
        return head_.tool != nullptr ? Scan::yes : Scan::no;
    }

    Scan arguments(char first) {
        if (first == '"') {  // some models write the object as a string
            std::string text;
            const Scan answer = cursor_.string(text);
            if (answer == Scan::yes) head_.arguments = std::move(text);
            return answer;
        }
        if (first == '{' && head_.tool != nullptr) {
            streams_ = true;
            head_.open_objects = depth_;
            return Scan::yes;
        }
        std::string_view raw;
        const Scan answer = cursor_.value(raw);
        if (answer != Scan::yes) return answer;
        if (first != '{' && raw != "null") return Scan::no;
        head_.arguments = first == '{' ? std::string(raw) : "{}";
        return Scan::yes;
    }

    Cursor& cursor_;
    const ToolSet& tools_;
    bool strict_;
    CallHead& head_;
    std::uint32_t depth_ = 1;
    bool streams_ = false;
};

/// Takes the opener if there is one. `no` when it is needed and missing.
Scan take_opener(Cursor& cursor, const CallSyntax& syntax, bool in_list) {
    cursor.space();
    if (in_list) {
        if (cursor.ended()) return Scan::more;
        if (cursor.peek() == ',' || cursor.peek() == ';') cursor.skip();
        return Scan::yes;
    }
    const Scan opener = cursor.any_literal(syntax.openers);
    return opener == Scan::no && syntax.bare ? Scan::yes : opener;
}

Scan read_json_head(Cursor& cursor, const CallSyntax& syntax, const ToolSet& tools, bool in_list,
                    CallHead& head) {
    const std::size_t start = cursor.at();
    if (const Scan answer = take_opener(cursor, syntax, in_list); answer != Scan::yes) {
        return answer;
    }
    const bool without_opener = in_list || cursor.at() == start;
    cursor.space();
    if (cursor.ended()) return Scan::more;
    head.list = in_list;
    if (cursor.peek() == '[' && !in_list) {
        cursor.skip();
        head.list = true;
    }
    if (const Scan answer = cursor.take('{'); answer != Scan::yes) return answer;
    return JsonHead(cursor, tools, without_opener && !in_list, head).read();
}

Scan known_name(Cursor& cursor, const ToolSet& tools, CallHead& head) {
    std::string name;
    if (const Scan answer = cursor.name(name); answer != Scan::yes) return answer;
    head.tool = tools.find(name);
    return head.tool != nullptr ? Scan::yes : Scan::no;
}

Scan open_call(Cursor& cursor, const CallSyntax& syntax) {
    const std::size_t start = cursor.at();
    const Scan open = cursor.loose(syntax.call_open);
    if (open == Scan::yes || syntax.other_call_opens.empty()) return open;
    cursor = cursor.back_at(start);
    const Scan other = cursor.any_loose(syntax.other_call_opens);
    return other == Scan::no ? open : other;
}

Scan read_named_head(Cursor& cursor, const CallSyntax& syntax, const ToolSet& tools,
                     CallHead& head) {
    if (!syntax.section_open.empty()) {
        const Scan section = cursor.loose(syntax.section_open);
        if (section == Scan::more) return section;
    }
    if (const Scan answer = open_call(cursor, syntax); answer != Scan::yes) return answer;
    cursor.space();
    if (const Scan answer = known_name(cursor, tools, head); answer != Scan::yes) return answer;
    if (const Scan answer = cursor.any_loose(syntax.name_closes); answer != Scan::yes) {
        return answer;
    }
    if (syntax.shape != CallShape::named_json) return Scan::yes;
    cursor.space();
    if (cursor.ended()) return Scan::more;
    return cursor.peek() == '{' ? Scan::yes : Scan::no;
}

Scan read_pythonic_head(Cursor& cursor, const CallSyntax& syntax, const ToolSet& tools,
                        bool in_list, CallHead& head) {
    if (const Scan answer = take_opener(cursor, syntax, in_list); answer != Scan::yes) {
        return answer;
    }
    if (!in_list) {
        if (const Scan answer = cursor.take('['); answer != Scan::yes) return answer;
    }
    head.list = true;
    cursor.space();
    if (const Scan answer = known_name(cursor, tools, head); answer != Scan::yes) return answer;
    return cursor.take('(');
}

/// What a text without quotes means: text where the schema says so, JSON where it reads as such.
std::string as_json(std::string_view raw, const json::value* schema) {
    if (!takes_text_only(schema)) {
        std::string_view trimmed = raw;
        while (!trimmed.empty() && is_space(trimmed.front())) trimmed.remove_prefix(1);
        while (!trimmed.empty() && is_space(trimmed.back())) trimmed.remove_suffix(1);
        if (base::parse_json(trimmed)) return std::string(trimmed);
        // Models trained on Python write its constants.
        if (trimmed == "True") return "true";
        if (trimmed == "False") return "false";
        if (trimmed == "None") return "null";
    }
    std::string quoted;
    base::append_json_string(quoted, raw);
    return quoted;
}

bool is_key_char(char c) {
    return c != '<' && c != '>' && c != '"' && c != '\n';
}

Scan read_parameter(Cursor& cursor, std::string_view text, const CallSyntax& syntax,
                    const Tool& tool, std::size_t& search_from, Argument& argument) {
    if (const Scan answer = cursor.loose(syntax.parameter_open); answer != Scan::yes) {
        return answer;
    }
    const std::size_t key_start = cursor.at();
    while (!cursor.ended() && is_key_char(cursor.peek())) cursor.skip();
    if (cursor.ended()) return Scan::more;
    argument.key = std::string(text.substr(key_start, cursor.at() - key_start));
    std::size_t middle = 0;
    if (const Scan answer = cursor.any_loose(syntax.parameter_middles, &middle);
        answer != Scan::yes) {
        return answer;
    }
    const bool own_lines = syntax.parameter_middles[middle].ends_with('\n');
    const std::string_view spaced = syntax.parameter_close;
    const std::size_t first = spaced.find_first_not_of('\n');
    const std::string_view close = spaced.substr(first, spaced.find_last_not_of('\n') + 1 - first);
    const std::size_t value_start = cursor.at();
    const std::size_t end = text.find(close, std::max(value_start, search_from));
    if (end == std::string_view::npos) {
        search_from = std::max(value_start, text.size() - std::min(text.size(), close.size()));
        return Scan::more;
    }
    std::string_view raw = text.substr(value_start, end - value_start);
    if (own_lines && syntax.shape == CallShape::parameters) {
        // Qwen writes values on lines of their own; GLM ends only its middle with a line end.
        if (raw.starts_with('\n')) raw.remove_prefix(1);
        if (raw.ends_with('\n')) raw.remove_suffix(1);
    }
    const json::value* schema = parameter_schema(tool, argument.key);
    const bool said_text = syntax.parameter_middles.size() > 1 && middle == 0;
    if (said_text) {
        base::append_json_string(argument.json, raw);
    } else {
        argument.json = as_json(raw, schema);
    }
    argument.end = end + close.size();
    return Scan::yes;
}

/// Over what stands between arguments: to the next one, or over `close`, which ends the call.
Scan reach_argument(Cursor& cursor, char close, Argument& argument) {
    for (bool comma = false;; comma = true) {
        cursor.space();
        if (cursor.ended()) return Scan::more;
        if (cursor.peek() == close) {
            cursor.skip();
            argument.call_ended = true;
            argument.end = cursor.at();
            return Scan::yes;
        }
        if (cursor.peek() != ',' || comma) return Scan::yes;
        cursor.skip();
    }
}

Scan read_keyword(Cursor& cursor, Argument& argument) {
    const Scan reached = reach_argument(cursor, ')', argument);
    if (reached != Scan::yes || argument.call_ended) return reached;
    if (const Scan answer = cursor.name(argument.key); answer != Scan::yes) return answer;
    if (const Scan answer = cursor.take('='); answer != Scan::yes) return answer;
    const Scan answer = cursor.python_value(argument.json);
    argument.end = cursor.at();
    return answer;
}

Scan read_keyed(Cursor& cursor, const CallSyntax& syntax, Argument& argument) {
    const Scan reached = reach_argument(cursor, '}', argument);
    if (reached != Scan::yes || argument.call_ended) return reached;
    if (const Scan answer = read_keyed_key(cursor, syntax.quote, argument.key);
        answer != Scan::yes) {
        return answer;
    }
    if (const Scan answer = cursor.take(':'); answer != Scan::yes) return answer;
    const Scan answer = read_keyed_value(cursor, syntax.quote, argument.json);
    argument.end = cursor.at();
    return answer;
}

}  // namespace

Scan read_head(std::string_view text, const CallSyntax& syntax, const ToolSet& tools, bool in_list,
               CallHead& head) {
    head = {};
    Cursor cursor(text);
    Scan answer = Scan::no;
    switch (syntax.shape) {
        case CallShape::json:
            answer = read_json_head(cursor, syntax, tools, in_list, head);
            break;
        case CallShape::named_json:
        case CallShape::parameters:
        case CallShape::keyed:
            answer = read_named_head(cursor, syntax, tools, head);
            break;
        case CallShape::pythonic:
            answer = read_pythonic_head(cursor, syntax, tools, in_list, head);
            break;
    }
    head.end = cursor.at();
    return answer;
}

Scan read_object_end(std::string_view text, std::uint32_t open_objects, std::size_t& at) {
    Cursor cursor(text, at);
    while (open_objects > 0) {
        cursor.space();
        if (cursor.ended()) return Scan::more;
        if (cursor.peek() == '}') {
            cursor.skip();
            --open_objects;
            continue;
        }
        if (cursor.peek() != ',') return Scan::no;
        cursor.skip();
        cursor.space();
        std::string key;
        std::string_view value;
        if (const Scan answer = cursor.string(key); answer != Scan::yes) return answer;
        if (const Scan answer = cursor.take(':'); answer != Scan::yes) return answer;
        cursor.space();
        if (const Scan answer = cursor.value(value); answer != Scan::yes) return answer;
    }
    at = cursor.at();
    return Scan::yes;
}

Scan read_argument(std::string_view text, const CallSyntax& syntax, const Tool& tool,
                   std::size_t& search_from, Argument& argument) {
    argument = {};
    Cursor cursor(text);
    if (syntax.shape == CallShape::pythonic) return read_keyword(cursor, argument);
    if (syntax.shape == CallShape::keyed) return read_keyed(cursor, syntax, argument);
    const Scan close = cursor.loose(syntax.call_close);
    if (close == Scan::yes) {
        argument.call_ended = true;
        argument.end = cursor.at();
        return close;
    }
    Cursor again(text);
    const Scan parameter = read_parameter(again, text, syntax, tool, search_from, argument);
    return parameter == Scan::no && close == Scan::more ? Scan::more : parameter;
}

}  // namespace engine::chat
