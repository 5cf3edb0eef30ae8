// What the model is told of its calls, and what follows: another turn, the last one, or the end.

#include <fmt/format.h>

#include <algorithm>

#include "agent/loop/fields.h"
#include "agent/loop/loop.h"
#include "agent/tool.h"
#include "base/files/sha256.h"
#include "base/json/canonical.h"

namespace agent {

using base::Result;
namespace json = base::json;

namespace {

/// Two turns to answer with nothing else to call; then the run has failed.
constexpr std::uint64_t kForcedMax = 2;
constexpr std::size_t kSeenMax = 4'096;

/// What a call gave, or why it did not.
json::object outcome_of(const json::value& in) {
    const std::string verdict = text_at(in, "/call/verdict");
    if (verdict == "refuse") return {{"error", text_at(in, "/call/why")}};
    if (verdict == "ask" && !flag_at(in, "/admitted/run")) {
        return {{"error", text_at(in, "/admitted/why")}};
    }
    const std::string tool = text_at(in, "/call/tool");
    if (const json::value* errors = at(in, "/errors"); errors != nullptr && errors->is_object()) {
        const json::value* error = errors->get_object().if_contains(tool);
        if (error != nullptr && !error->is_null()) return {{"error", text_at(*error, "/message")}};
    }
    const json::value* output = at(in, "/output");
    return {{"result", output != nullptr ? *output : json::value()}};
}

struct Limits {
    explicit Limits(const json::value& in)
        : turns(count_at(in, "/agent/limits/turns", 1)),
          context_tokens(count_at(in, "/agent/limits/context_tokens")),
          tokens(count_at(in, "/agent/limits/tokens")),
          answer_tokens(count_at(in, "/agent/limits/answer_tokens")),
          repeats(count_at(in, "/agent/limits/repeats", 3)),
          cost_usd(number_at(in, "/agent/limits/cost_usd")) {}
    std::uint64_t turns, context_tokens, tokens, answer_tokens, repeats;
    double cost_usd;
};

/// Why the next answer must be the last one; empty: it need not.
std::string must_end(const Limits& limits, std::uint64_t turn, std::uint64_t tokens, double cost,
                     std::uint64_t last_tokens, double last_cost, std::uint64_t repeated) {
    if (repeated >= limits.repeats) {
        return fmt::format("the same call gave the same result {} times", repeated);
    }
    if (turn + 1 >= limits.turns) return fmt::format("this is the last of {} turns", limits.turns);
    // Another turn and the last one must both fit, each a little larger than the one before.
    const std::uint64_t next = last_tokens + limits.answer_tokens;
    if (limits.tokens != 0 && tokens + 2 * next > limits.tokens) {
        return fmt::format("{} of {} tokens are used", tokens, limits.tokens);
    }
    if (limits.cost_usd > 0 && cost + 3 * last_cost > limits.cost_usd) {
        return fmt::format("{:.4f} of {:.4f} USD are used", cost, limits.cost_usd);
    }
    return "";
}

json::value last_choice(const json::value& in) {
    if (!flag_at(in, "/agent/final_answer")) return "none";
    return json::object{{"type", "function"}, {"function", json::object{{"name", kFinalAnswer}}}};
}

/// How often the calls of this turn were made before with the same result, the most of them.
std::uint64_t count_repeats(const json::array& keys, json::object& seen) {
    std::uint64_t most = 0;
    for (const json::value& key : keys) {
        json::value& count = seen[key.as_string()];
        const std::uint64_t now = count_at(count, "") + 1;
        count = now;
        most = std::max(most, now);
    }
    return most;
}

}  // namespace

Result<json::value> result(const json::value& in) {
    json::object outcome = outcome_of(in);
    const std::string tool = text_at(in, "/call/tool");
    const json::value* call_arguments = at(in, "/call/arguments");
    const std::string key = base::sha256_hex(base::canonical_text(
        json::array{tool, call_arguments != nullptr ? *call_arguments : json::value(), outcome}));
    json::object told{{"tool", tool}};
    const json::value* config = at(in, "/agent/tools");
    const json::value* its =
        config != nullptr && config->is_object() ? config->get_object().if_contains(tool) : nullptr;
    if (its == nullptr || !flag_at(*its, "/trusted")) told["untrusted"] = true;
    for (auto& [name, value] : outcome) told[name] = value;
    std::string text = cut(base::to_text(told), count_at(in, "/agent/limits/result_bytes", 16'384));
    return json::object{{"message", json::object{{"role", "tool"},
                                                 {"tool_call_id", text_at(in, "/call/id")},
                                                 {"content", std::move(text)}}},
                        {"tool", tool},
                        {"verdict", text_at(in, "/call/verdict")},
                        {"key", key}};
}

Result<json::value> observe(const json::value& in) {
    const json::value* before = at(in, "/progress");
    json::object progress =
        before != nullptr && before->is_object() ? before->get_object() : json::object();
    const json::value was = progress;
    json::array messages, keys;
    if (const json::value* message = at(in, "/plan/message")) messages.push_back(*message);
    json::object used;
    if (const json::value* given = at(was, "/tool_calls"); given != nullptr && given->is_object()) {
        used = given->get_object();
    }
    std::uint64_t calls = count_at(was, "/calls");
    for (const json::value& wave : list_at(in, "/results")) {
        for (const json::value& each : list_at(wave, "")) {
            if (const json::value* message = at(each, "/message")) messages.push_back(*message);
            keys.push_back(json::string(text_at(each, "/key")));
            ++calls;
            if (text_at(each, "/verdict") == "refuse") continue;
            json::value& count = used[text_at(each, "/tool")];
            count = count_at(count, "") + 1;
        }
    }
    const std::uint64_t turn = count_at(was, "/turn") + 1;
    const std::uint64_t last_tokens = count_at(in, "/usage/total_tokens");
    const double last_cost = (number_at(in, "/usage/prompt_tokens") *
                                  number_at(in, "/agent/price/input_usd_per_million") +
                              number_at(in, "/usage/completion_tokens") *
                                  number_at(in, "/agent/price/output_usd_per_million")) /
                             1e6;
    const std::uint64_t tokens = count_at(was, "/tokens") + last_tokens;
    const double cost = number_at(was, "/cost_usd") + last_cost;
    json::object seen;
    if (const json::value* given = at(was, "/seen"); given != nullptr && given->is_object()) {
        seen = given->get_object();
    }
    const std::uint64_t repeated = count_repeats(keys, seen);
    if (seen.size() > kSeenMax) seen.clear();
    progress["turn"] = turn;
    progress["calls"] = calls;
    progress["tool_calls"] = std::move(used);
    progress["tokens"] = tokens;
    progress["cost_usd"] = cost;
    progress["seen"] = std::move(seen);
    progress["end"] = nullptr;
    json::array said;  // by a person meanwhile: it is answered before the run may end
    for (const json::value& each : list_at(in, "/steer")) {
        if (each.is_null()) continue;
        const std::string text = text_at(each, "/message");
        said.push_back({{"role", "user"}, {"content", text.empty() ? as_text(each) : text}});
    }
    const json::value* final = at(in, "/plan/final");
    if (final != nullptr && said.empty()) {
        progress["end"] = *final;
        return json::object{{"messages", std::move(messages)}, {"progress", std::move(progress)}};
    }
    std::string say = text_at(in, "/plan/problem");
    const std::uint64_t forced = count_at(was, "/forced/times");
    const Limits limits(in);
    std::string why = forced > 0
                          ? text_at(was, "/forced/why")
                          : must_end(limits, turn, tokens, cost, last_tokens, last_cost, repeated);
    if (forced >= kForcedMax || turn > limits.turns + kForcedMax) {
        progress["end"] = json::object{
            {"failed", fmt::format("no answer came, also when nothing else could be called: {}",
                                   why.empty() ? say : why)}};
    } else if (!why.empty()) {
        progress["forced"] = json::object{{"why", why}, {"times", forced + 1}};
        progress["tool_choice"] = last_choice(in);
        say += fmt::format("{}Answer now with what you have: {}.", say.empty() ? "" : ". ", why);
    }
    for (json::value& each : said) messages.push_back(std::move(each));
    // Summed up while the question for the summary still fits.
    const bool large = limits.context_tokens != 0 && last_tokens * 4 > limits.context_tokens * 3;
    progress["condense"] = large && why.empty() && progress["end"].is_null();
    if (!say.empty()) messages.push_back({{"role", "user"}, {"content", say}});
    return json::object{{"messages", std::move(messages)}, {"progress", std::move(progress)}};
}

}  // namespace agent
