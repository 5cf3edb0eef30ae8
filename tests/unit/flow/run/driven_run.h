#pragma once
// A run that a test drives by hand.

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "flow/definition/read_definition.h"
#include "flow/run/fork.h"
#include "flow/run/machine.h"
#include "flow/run/migrate.h"
#include "flow/run/replay.h"

namespace flow_test {

using base::Code;
using base::Error;
using flow::Decision;
using flow::EventKind;
using flow::Machine;
using flow::RunState;
using flow::RunStatus;
using flow::StepStatus;
namespace json = base::json;

/// One run, driven by hand. Every decision is folded into a second state, too, which has to be the
/// same: what is written down says everything.
class DrivenRun {
public:
    explicit DrivenRun(std::string_view yaml, json::value input = json::object(),
                       flow::RunStart start = {}) {
        auto read = flow::read_definition(yaml, "test.yaml");
        if (!read) throw std::runtime_error(read.error().message);
        definition = *read;
        for (RunState* each : {&state, &folded}) {
            each->id = {7, 9};
            each->definition = definition;
        }
        Machine machine(state);
        start.input = std::move(input);
        machine.start(start, now);
        took(machine);
    }
    /// What begins where another run was.
    DrivenRun(const DrivenRun& origin, std::string_view step, json::value with = {}) {
        const auto planned =
            flow::plan_fork(origin.state.id, origin.definition, origin.events, step, with);
        if (!planned) throw std::runtime_error(planned.error().message);
        definition = origin.definition;
        now = origin.now + 1'000'000;
        for (RunState* each : {&state, &folded}) {
            each->id = {8, 9};
            each->definition = definition;
        }
        Machine machine(state);
        flow::RunStart start;
        start.input = planned->input;
        machine.fork(start, *planned, now);
        took(machine);
    }
    /// The record, decided again, is the record.
    ~DrivenRun() {
        const auto again = flow::replay(state.id, definition, true, events);
        EXPECT_TRUE(again.has_value() && !again->difference)
            << (again ? again->difference->what + " at " + std::to_string(again->difference->place)
                      : again.error().message);
    }

    void finish(std::string_view path, json::value output, std::uint64_t tokens = 0) {
        Machine machine(state);
        machine.finished(path, step(path).attempt, flow::StepOutput{std::move(output), tokens, 0},
                         now);
        took(machine);
    }
    void fail(std::string_view path, Code code, std::string message = "no") {
        Machine machine(state);
        machine.finished(path, step(path).attempt,
                         std::unexpected(Error{code, std::move(message), {}}), now);
        took(machine);
    }
    /// The step, or with "" the run, has a place in its queue.
    void admit(std::string_view path) {
        Machine machine(state);
        machine.finished(path, path.empty() ? 0 : step(path).attempt + 1, flow::StepOutput{}, now);
        took(machine);
    }
    void pass_ms(std::int64_t ms) {
        now += ms;
        Machine machine(state);
        machine.tick(now);
        took(machine);
    }
    template <class Input>
    base::Result<void> give(Input input) {
        Machine machine(state);
        base::Result<void> result = input(machine);
        took(machine);
        return result;
    }

    /// To another version of its workflow.
    base::Result<void> migrate(std::string_view yaml, const json::value& rules = {}) {
        auto read = flow::read_definition(yaml, "test.yaml");
        if (!read) throw std::runtime_error(read.error().message);
        auto to = std::make_shared<flow::Definition>(**read);
        to->version = 2;
        const auto asked = flow::migration_rules_from(rules);
        if (!asked) return std::unexpected(asked.error());
        Machine machine(state);
        base::Result<void> result = machine.migrate(to, *asked, "test", now);
        if (result) definition = folded.definition = to;
        took(machine);
        return result;
    }

    const flow::StepState& step(std::string_view path) {
        const auto found = flow::find_step(state, path);
        if (!found) throw std::runtime_error("no step " + std::string(path));
        return *found->state;
    }
    std::string output() const { return base::to_text(state.output); }
    std::vector<std::string> called() const {
        std::vector<std::string> out;
        for (const flow::Call& call : calls) out.push_back(call.path);
        return out;
    }
    const flow::Call& last_call() const { return calls.back(); }

    std::shared_ptr<const flow::Definition> definition;
    RunState state, folded;
    std::vector<flow::Event> events;
    std::vector<flow::Call> calls;
    std::vector<flow::Sending> sendings;
    std::vector<flow::ChildStart> children;
    std::vector<std::string> cancelled;
    std::int64_t now = 1'700'000'000'000;

private:
    void took(Machine& machine) {
        for (bool more = true; more;) {
            Decision decision = machine.take();
            for (const flow::Event& event : decision.events) {
                std::string bytes;
                flow::encode(event, bytes);
                std::string_view rest = bytes;
                const auto read = flow::decode_event(rest);
                ASSERT_TRUE(read.has_value());
                EXPECT_EQ(*read, event);
                EXPECT_TRUE(rest.empty());
                const auto as_text = flow::event_from_json(to_json(event));
                ASSERT_TRUE(as_text.has_value()) << as_text.error().message;
                EXPECT_EQ(*as_text, event);
                ASSERT_TRUE(flow::apply(folded, *read).has_value());
            }
            EXPECT_EQ(to_json(folded), to_json(state));
            std::ranges::copy(decision.events, std::back_inserter(events));
            std::ranges::move(decision.calls, std::back_inserter(calls));
            std::ranges::move(decision.sendings, std::back_inserter(sendings));
            std::ranges::move(decision.children, std::back_inserter(children));
            std::ranges::move(decision.cancelled, std::back_inserter(cancelled));
            more = decision.more;
            if (more) machine.proceed(now);
        }
        RunState again;
        again.definition = definition;
        const auto read = flow::from_json(to_json(state), again);
        ASSERT_TRUE(read.has_value()) << read.error().message;
        EXPECT_EQ(to_json(again), to_json(state)) << "a snapshot says everything, too";
    }
};

}  // namespace flow_test
