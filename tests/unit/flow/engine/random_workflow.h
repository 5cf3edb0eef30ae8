#pragma once
// Workflows made by chance, and what one of their runs gives: for tests with faults, which compare
// with a run without any.

#include <map>
#include <string>

#include "unit/flow/engine/flow_world.h"

namespace flow_test {

/// A workflow made by chance, whose output says in which way everything ran.
class Maker {
public:
    explicit Maker(base::Rng& rng) : rng_(rng) {}
    std::string make(std::string_view name) {
        json::object out{{"name", name}, {"steps", block(2)}};
        return base::to_text(out);
    }

private:
    std::string id() { return "s" + std::to_string(++last_); }
    json::array block(int depth) {
        json::array steps;
        const std::uint64_t count = 1 + rng_.below(3);
        for (std::uint64_t i = 0; i < count; ++i) steps.push_back(step(depth));
        return steps;
    }
    json::object step(int depth) {
        json::object out{{"id", id()}};
        switch (rng_.below(depth > 0 ? 9 : 5)) {
            case 0:
                out["set"] = {{"v" + std::to_string(last_), rng_.below(100)}};
                break;
            case 1:
                out["wait"] = {{"for", std::to_string(1 + rng_.below(20)) + "s"}};
                break;
            case 2:
                out["emit"] = {{"event", "tick"}, {"payload", {{"from", "{{ run.id }}"}}}};
                break;
            case 5:
                out["for_each"] = {
                    {"in", "{{ range(" + std::to_string(rng_.below(4)) + ") | list }}"},
                    {"as", "item"},
                    {"concurrency", 1 + rng_.below(3)},
                    {"steps", block(depth - 1)}};
                break;
            case 6:
                out["parallel"] = {
                    {"branches", {{"x", block(depth - 1)}, {"y", block(depth - 1)}}}};
                break;
            case 7:
                out["branch"] = {{"if", rng_.below(2) == 0 ? "input.n > 5" : "input.n <= 5"},
                                 {"then", block(depth - 1)},
                                 {"else", block(depth - 1)}};
                break;
            case 8:
                out["subflow"] = {{"workflow", "child"}, {"input", {{"n", "{{ input.n }}"}}}};
                break;
            default:
                out["call"] = {
                    {"function", "echo"},
                    {"arguments",
                     {{"n", "{{ input.n }}"}, {"id", std::string(out["id"].as_string())}}}};
                out["retry"] = {{"attempts", 50}, {"backoff", "1s"}, {"factor", 1}};
                out["timeout"] = "30d";  // so that a result that is lost is missed
        }
        return out;
    }

    base::Rng& rng_;
    int last_ = 0;
};

/// Ends calls and lets time pass until all runs are over.
inline void run_out(World& world, int patience) {
    for (int i = 0; i < patience; ++i) {
        while (!world.calls.held.empty()) world.echo(world.rng.below(world.calls.held.size()));
        world.pass(std::chrono::milliseconds(5'000));
        if (world.engine->stats().runs_open == 0) return;
    }
}

inline constexpr std::string_view kChild =
    "name: child\nsteps: [{id: c, call: {function: echo, arguments: {n: \"{{ input.n }}\"}, }, "
    "retry: "
    "{attempts: 50, backoff: 1s}}]";
/// What does not depend on when and in which run it was.
inline std::string plain(const flow::RunState& state) {
    std::string text = base::to_text(state.output);
    std::map<std::string, std::string> vars;  // in any order: branches run beside each other
    for (const auto& [name, value] : state.vars) vars[name] = base::to_text(value);
    for (const auto& [name, value] : vars) text += " " + name + "=" + value;
    const std::string id = to_text(state.id);
    for (std::size_t at; (at = text.find(id)) != std::string::npos;)
        text.replace(at, id.size(), "RUN");
    for (std::size_t at = 0; (at = text.find("\"fired_at\":", at)) != std::string::npos;) {
        const std::size_t end = text.find_first_of(",}", at);
        text.erase(at, end - at);
    }
    return text;
}

}  // namespace flow_test
