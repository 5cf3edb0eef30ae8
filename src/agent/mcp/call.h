#pragma once
// One request while it is answered: what its features see of it, and where what they say goes.

#include <atomic>
#include <functional>
#include <utility>

#include "agent/mcp/features.h"

namespace agent::mcp {

class Call final : public Exchange {
public:
    struct Start {
        Caller caller;
        json::object capabilities = {};                    ///< of the client
        json::value progress_token = nullptr;              ///< null: it does not want to know
        std::optional<LogLevel> log_level = std::nullopt;  ///< absent: no logs
        json::object inputs = {};
        json::value state = nullptr;
        /// Takes notifications, in order; called under no lock, from any thread.
        std::function<void(json::object)> send;
        std::function<void()> let_go = [] {};
    };
    explicit Call(Start start) : start_(std::move(start)) {}

    const Caller& caller() const override { return start_.caller; }
    bool can(std::string_view method) const override;
    const json::object& inputs() const override { return start_.inputs; }
    const json::value& state() const override { return start_.state; }
    void progress(double done, std::optional<double> total, std::string_view message) override;
    void log(LogLevel level, std::string_view logger, const json::value& data) override;
    bool cancelled() const override { return cancelled_; }
    void let_go() override { start_.let_go(); }
    const json::object& capabilities() const { return start_.capabilities; }
    /// Before it is made.
    void on_let_go(std::function<void()> let_go) { start_.let_go = std::move(let_go); }

    void cancel() { cancelled_ = true; }
    /// Of another round. Pre: no call runs with it.
    void answered(json::object inputs, json::value state) {
        start_.inputs = std::move(inputs);
        start_.state = std::move(state);
    }

private:
    Start start_;
    std::atomic<bool> cancelled_ = false;
};

/// Whole numbers stay whole: some clients compare texts.
json::value number_of(double number);

/// The capability a client needs to be asked by that method; empty: there is no such method.
std::string_view capability_of(std::string_view method);

}  // namespace agent::mcp
