#include <future>

#include "flow/flow.h"

namespace flow {

using base::Code;
using base::fail;
using base::Result;
namespace json = base::json;

namespace {

constexpr std::chrono::milliseconds kSleepMax{60'000};  // wall clocks jump
// For the owner of a run: longer than it takes until another one owns it.
constexpr std::chrono::milliseconds kOwnerPatience{60'000};

}  // namespace

Result<std::unique_ptr<Runtime>> Runtime::open(RunLog& log, DefinitionSource& definitions,
                                               StepRunner& runner, const base::Clock& clock,
                                               const EngineOptions& options) {
    std::unique_ptr<Runtime> runtime(new Runtime(log, clock));
    runtime->engine_ = std::make_unique<RunEngine>(
        log, definitions, runner, clock, base::entropy64(), options,
        [self = runtime.get()](std::function<void()> task) { self->post(std::move(task)); });
    DG_TRY(runtime->engine_->recover());
    runtime->thread_ =
        std::jthread([self = runtime.get()](const std::stop_token& stop) { self->run(stop); });
    return runtime;
}

Runtime::~Runtime() {
    halt();
}

void Runtime::halt() {
    if (!thread_.joinable()) return;
    thread_.request_stop();
    thread_.join();
    if (Fleet* fleet = log_.fleet()) {
        fleet->leave();
    } else {
        log_.flush();  // what it wrote last still posts to us
    }
}

void Runtime::post(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    if (tasks_.size() == 1) wake_.notify_one();
}

void Runtime::run(const std::stop_token& stop) {
    std::vector<std::function<void()>> batch;
    while (!stop.stop_requested()) {
        {
            std::unique_lock lock(mutex_);
            const std::int64_t due_ms = engine_->next_due_ms();
            std::chrono::milliseconds patience = kSleepMax;
            if (due_ms != 0) {
                const std::int64_t left = due_ms - clock_.unix_ns() / 1'000'000;
                patience = std::clamp(std::chrono::milliseconds(left), std::chrono::milliseconds(0),
                                      kSleepMax);
            }
            wake_.wait_for(lock, stop, patience, [&] { return !tasks_.empty(); });
            batch.swap(tasks_);
        }
        for (const auto& task : batch) task();
        batch.clear();
        engine_->tick();
    }
}

/// Asks on the runtime's thread and waits for the answer.
template <class T>
T Runtime::ask(const std::function<void(std::function<void(T)>)>& question) {
    auto promise = std::make_shared<std::promise<T>>();
    std::future<T> answer = promise->get_future();
    post([question, promise] {
        question([promise](T value) { promise->set_value(std::move(value)); });
    });
    return answer.get();
}

Result<RunId> Runtime::start(StartRequest request) {
    return ask<Result<RunId>>([&](auto answer) { engine_->start(request, answer); });
}

void Runtime::start(StartRequest request, RunEngine::Started started) {
    post([this, request = std::move(request), started = std::move(started)] {
        engine_->start(request, started);
    });
}

void Runtime::when_ended(RunId run, RunEngine::Ended ended) {
    post([this, run, ended = std::move(ended)] { engine_->when_ended(run, ended); });
}

Result<RunEnd> Runtime::wait(RunId run, std::chrono::milliseconds patience) {
    auto promise = std::make_shared<std::promise<Result<RunEnd>>>();
    std::future<Result<RunEnd>> ended = promise->get_future();
    when_ended(run, [promise](const Result<RunHead>& head, const json::value& output) {
        if (head) {
            promise->set_value(RunEnd{*head, output});
        } else {
            promise->set_value(std::unexpected(head.error()));
        }
    });
    if (ended.wait_for(patience) != std::future_status::ready) {
        return fail(Code::deadline_exceeded, "{} is not over after {} ms; it goes on", to_text(run),
                    patience.count());
    }
    return ended.get();
}

Result<void> Runtime::input(RunId run, RunEngine::Input input) {
    return ask<Result<void>>([&](auto answer) { engine_->input(run, input, answer); });
}

Result<void> Runtime::peek(RunId run, const RunEngine::Input& look) {
    return ask<Result<void>>([&](auto answer) { answer(engine_->peek(run, look)); });
}

Result<void> Runtime::give(RunId run, RunInput input) {
    auto promise = std::make_shared<std::promise<Result<void>>>();
    std::future<Result<void>> answer = promise->get_future();
    post([this, run, input = std::move(input), promise] {
        engine_->give(run, input,
                      [promise](Result<void> taken) { promise->set_value(std::move(taken)); });
    });
    if (log_.fleet() != nullptr && answer.wait_for(kOwnerPatience) != std::future_status::ready) {
        return fail(Code::deadline_exceeded,
                    "the process that has {} has not taken it after {} s; it is written down and "
                    "will be taken, so do not send it again",
                    to_text(run), kOwnerPatience.count() / 1000);
    }
    return answer.get();
}

Result<void> Runtime::signal(RunId run, std::string_view name, json::value payload) {
    return give(run, {RunInput::Kind::signal, std::string(name), std::move(payload)});
}

Result<void> Runtime::answer(RunId run, std::string_view step, json::value answer) {
    return give(run, {RunInput::Kind::answer, std::string(step), std::move(answer)});
}

Result<void> Runtime::pause(RunId run, std::string_view why, std::string_view by) {
    return give(run, {RunInput::Kind::pause, std::string(why), {}, std::string(by)});
}

Result<void> Runtime::resume(RunId run, std::string_view by) {
    return give(run, {RunInput::Kind::resume, {}, {}, std::string(by)});
}

Result<void> Runtime::cancel(RunId run, std::string_view why) {
    return give(run, {RunInput::Kind::cancel, std::string(why)});
}

Result<void> Runtime::retry(RunId run, std::string_view step, std::string_view by,
                            const json::value& with) {
    return give(run, {RunInput::Kind::retry, std::string(step), with, std::string(by)});
}

Result<void> Runtime::rewind(RunId run, std::string_view checkpoint, std::string_view by) {
    return give(run, {RunInput::Kind::rewind, std::string(checkpoint), {}, std::string(by)});
}

Result<void> Runtime::publish(std::string_view tenant, std::string_view event,
                              json::value payload) {
    return ask<Result<void>>(
        [&](auto answer) { engine_->publish(tenant, event, payload, answer); });
}

Result<json::object> Runtime::show(RunId run) {
    return ask<Result<json::object>>([&](auto answer) {
        const auto state = engine_->state(run);
        if (!state) {
            answer(std::unexpected(state.error()));
            return;
        }
        json::object out = to_json(**state);
        out["workflow"] = (*state)->definition->name;
        out["version"] = (*state)->definition->version;
        out["definition"] = (*state)->definition->hash;
        answer(std::move(out));
    });
}

EngineStats Runtime::stats() {
    return ask<EngineStats>([&](auto answer) { answer(engine_->stats()); });
}

}  // namespace flow
