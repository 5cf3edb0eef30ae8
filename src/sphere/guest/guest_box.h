#pragma once
// One machine and the commands in it. A thread of its own reads and writes the agent's stream,
// keeps the timers and calls the sinks, never under the lock.

#include <linux/filter.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "sphere/guest/machine.h"

namespace sphere::guest {

class GuestBox {
public:
    /// Commands obey `filter`, the caller's, which outlives this.
    GuestBox(SandboxId id, SandboxSpec spec, Secrets secrets, std::span<const sock_filter> filter,
             const base::Clock& clock);
    ~GuestBox();  ///< finish
    GuestBox(const GuestBox&) = delete;
    GuestBox& operator=(const GuestBox&) = delete;

    /// Waits until the agent is ready. Errors: failed_precondition, unavailable; deadline_exceeded.
    base::Result<void> begin(std::unique_ptr<Machine> machine, MachineMaker& maker);

    base::Result<ExecId> start(const ExecSpec& spec, ExecSink& sink);
    base::Result<void> write_stdin(ExecId exec, std::string_view bytes, bool end_of_file);
    base::Result<void> rest(ExecId exec);
    base::Result<void> resize_tty(ExecId exec, std::uint16_t columns, std::uint16_t rows);
    base::Result<void> signal(ExecId exec, int number);
    base::Result<void> freeze(bool frozen);
    base::Result<int> open_workspace();
    /// Begins the end of everything in it; commands end for `reason`.
    void kill(EndReason reason);
    /// kill, and wait until every command was reported and the machine left no trace. Not from a
    /// sink.
    void finish(EndReason reason);

    /// Of spec, state and use; the backend's own fields are the caller's.
    SandboxInfo describe() const;
    bool was_ready() const;  ///< or ever
    /// Why it is to go now: "died", "lifetime", "idle"; empty when it stays.
    std::string_view over(base::Instant now) const;
    const SandboxId& id() const { return id_; }
    const SandboxSpec& spec() const { return spec_; }

private:
    struct Exec;
    using Lock = std::unique_lock<std::mutex>;

    base::Result<Exec*> find_running(ExecId exec);
    void run();
    int wait_ms(base::Instant now) const;
    void wake() const;
    /// Appends to what the thread writes. Pre: locked.
    template <class Message>
    void send(const Message& message, std::string_view tail = {});
    void send_input(Exec& exec);
    bool write_out();
    bool read_in();
    void handle(std::span<std::byte> packet);
    void on_output(const launcher::Output& output, std::string_view bytes);
    void on_exited(const launcher::Exited* exited, Exec& exec);
    void on_gone();
    void run_timers();
    void end_exec(Exec& exec, EndReason reason);
    void send_kill(ExecId exec, launcher::Scope scope);

    const SandboxId id_;
    const SandboxSpec spec_;
    const Secrets secrets_;
    const std::span<const sock_filter> filter_;
    const base::Clock& clock_;
    std::unique_ptr<Machine> machine_;
    launcher::GuestSetup setup_;
    bool limit_processes_ = false;
    base::UniqueFd wake_;
    std::thread thread_;
    std::vector<std::byte> buffer_;  ///< the thread's, as is what cuts it
    launcher::PacketCutter cutter_{buffer_};

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::string outbox_;
    std::map<ExecId, std::unique_ptr<Exec>> execs_;
    std::map<ExecId, base::Instant> left_;  ///< that ended; until when what they left may run
    ExecId next_exec_ = 1;
    std::uint32_t begun_ = 0;
    bool ready_ = false, paused_ = false, ending_ = false, gone_ = false;
    std::optional<launcher::SetupFailed> refusal_;
    std::optional<EndReason> forced_;
    const std::int64_t created_unix_ns_;
    base::Instant begun_at_, used_at_;
};

}  // namespace sphere::guest
