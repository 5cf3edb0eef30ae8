#include "agent/pack/pack_shape.h"

#include <algorithm>

#include "agent/pack/pack.h"

namespace agent {
namespace {

using base::Field;
using base::Shape;
using Type = Shape::Type;

Shape text(std::string_view doc, std::size_t length_max = 4096, std::size_t length_min = 1) {
    return {.type = Type::text, .doc = doc, .length_min = length_min, .length_max = length_max};
}
Shape word(std::string_view doc, std::vector<std::string_view> one_of) {
    return {.type = Type::text, .doc = doc, .one_of = std::move(one_of), .length_min = 1};
}
Shape integer(std::string_view doc, double min, double max) {
    return {.type = Type::integer, .doc = doc, .min = min, .max = max};
}
Shape number(std::string_view doc, double min, double max) {
    return {.type = Type::number, .doc = doc, .min = min, .max = max};
}
Shape flag(std::string_view doc) {
    return {.type = Type::flag, .doc = doc};
}
Shape any(std::string_view doc) {
    return {.type = Type::any, .doc = doc};
}
Shape list(std::string_view doc, const Shape& element, std::size_t length_max) {
    return {.type = Type::list, .doc = doc, .length_max = length_max, .element = &element};
}
Shape object(std::string_view doc, std::vector<Field> fields) {
    return {.type = Type::object, .doc = doc, .fields = std::move(fields)};
}
Shape either(std::string_view doc, std::vector<const Shape*> options) {
    return {.type = Type::either, .doc = doc, .options = std::move(options)};
}

bool is_pack_name(std::string_view name) {
    return !name.empty() && name.size() <= 64 && name[0] != '-' &&
           std::ranges::all_of(name, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
           });
}

/// One number and one unit: what workflows read, without their sums of units.
bool is_duration(std::string_view text) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const std::string_view unit = text.substr(digits);
    if (unit == "d") return digits >= 1 && digits <= 3;
    return digits >= 1 && digits <= 4 &&
           (unit == "ms" || unit == "s" || unit == "m" || unit == "h");
}

Shape name_shape() {
    Shape shape = text("What it is called: small letters, digits and '-'.", 64);
    shape.words = "small letters, digits and '-'";
    shape.pattern = "^[a-z0-9][a-z0-9-]*$";
    shape.fits = is_pack_name;
    return shape;
}

Shape duration(std::string_view doc) {
    Shape shape = text(doc, 32);
    shape.words = "a number and a unit, such as 30s, 5m, 2h or 3d";
    shape.pattern = "^([0-9]{1,4}(ms|s|m|h)|[0-9]{1,3}d)$";
    shape.fits = is_duration;
    return shape;
}

Shape model_shape() {
    return object(
        "How the model is asked.",
        {{"name", text("Absent: the server's default.", 1024)},
         {"temperature", number("0 takes the likeliest word.", 0, 2)},
         {"max_tokens", integer("Of one answer.", 1, 1'000'000)},
         {"seed", integer("The same seed, the same answer.", 0, 4294967295.0)},
         {"calls",
          word("must: every answer is a call, held by grammar to a tool that exists, and the last "
               "is final_answer; for models that are weak at calling. may: as the model likes.",
               {"must", "may"})},
         {"parallel_calls", flag("Several calls in one answer.")},
         {"input_usd_per_million", number("What a million tokens cost.", 0, 1e6)},
         {"output_usd_per_million", number("What a million tokens cost.", 0, 1e6)}});
}

Shape limits_shape() {
    return object(
        "What a run may use.",
        {{"turns", integer("Answers of the model.", 1, 10'000), false, {"steps"}},
         {"tokens", integer("In and out; the last answer is asked for before.", 1, 1e12)},
         {"context_tokens",
          integer("The model's window: before it is full, what is old is summed up. Absent: never.",
                  512, 1e9)},
         {"cost_usd", number("Money.", 0, 1e9)},
         {"time", duration("Of a run, people included.")},
         {"tool_calls", integer("In a run.", 0, 1'000'000)},
         {"repeats",
          integer("The same call with the same result so many times ends the search.", 2, 1000)},
         {"parallel", integer("Calls at once.", 1, 64)},
         {"result_bytes", integer("Of one result, for the model.", 256, 1 << 20)},
         {"tool_time", duration("Of one call.")}});
}

const Shape& tool_element() {
    static const Shape plain = text("", 128);
    static const Shape full =
        object("", {{"name", text("", 128), true},
                    {"calls_max", integer("In a run.", 0, 1'000'000), false, {"max", "limit"}}});
    static const Shape shape = either("A tool's name, or with a bound.", {&plain, &full});
    return shape;
}

const Shape& agent_element() {
    static const Shape shape = name_shape();
    return shape;
}

const Shape& rule_element() {
    static const Shape shape = object(
        "", {{"tool", text("A tool's name; '*' at its end stands for any rest.", 128), true},
             {"when", text("An expression over `arguments`.", 4096), false, {"if"}},
             {"do",
              word("allow, ask a person, or deny.", {"allow", "ask", "deny"}),
              true,
              {"action", "verdict"}},
             {"why", text("Told to the model, or to who is asked.", 1024), false, {"reason"}}});
    return shape;
}

const Shape& example_element() {
    static const Shape shape = object("", {{"goal", text("", 65'536), true},
                                           {"context", any("Data that the goal speaks of.")},
                                           {"says", text("What it shows.", 1024)}});
    return shape;
}

const Shape& eval_element() {
    static const Shape shape = [] {
        Shape out =
            object("", {{"name", text("", 128), true},
                        {"goal", text("", 65'536), true},
                        {"context", any("Data that the goal speaks of.")},
                        {"exact", any("The answer is this.")},
                        {"contains", any("A text, or a list of texts that all stand in it.")},
                        {"schema", any("The answer is of this JSON Schema.")}});
        out.one_field = {"exact", "contains", "schema"};
        return out;
    }();
    return shape;
}

}  // namespace

const Shape& pack_shape() {
    static const Shape shape = [] {
        Shape out = object(
            "An agent.",
            {{"name", name_shape(), true},
             {"description", text("For people.", 4096)},
             {"instructions",
              text("What the model is told it is and does.", 65'536),
              true,
              {"system", "prompt"}},
             {"model", model_shape()},
             {"tools", list("What it may call.", tool_element(), 64)},
             {"agents",
              list("Deployed agents that it may give goals to, as ask_<name>.", agent_element(),
                   16),
              false,
              {"workers", "subagents"}},
             {"policy",
              object("What happens to a call before it is made. The first rule that fits decides.",
                     {{"default", word("When no rule fits.", {"allow", "ask", "deny"})},
                      {"rules", list("In order.", rule_element(), 256)}})},
             {"memory",
              object("What it remembers.",
                     {{"recall", integer("So many memories are looked up for the goal.", 0, 50)}})},
             {"limits", limits_shape(), false, {"budget"}},
             {"output",
              any("JSON Schema of the answer; absent: text."),
              false,
              {"output_schema", "schema"}},
             {"examples", list("Goals to try.", example_element(), 64)},
             {"evals", list("Goals with what the answer must be.", eval_element(), 1000)}});
        out.noun = "pack";
        out.noun_field = "name";
        out.name = "pack";
        return out;
    }();
    return shape;
}

base::json::object pack_schema() {
    return base::json_schema(pack_shape(), "urn:dougong:schema:pack:1", "Dougong agent pack");
}

}  // namespace agent
