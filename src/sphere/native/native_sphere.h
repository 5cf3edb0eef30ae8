#pragma once
// Boxes over the launcher: Sphere by namespaces, Landlock, seccomp and control groups of this host.
//
// Threads: callers change state under `mutex_`; one loop thread owns epoll, reads every socket and
// stream and calls the sinks (never under the lock); one keeper thread fills the pool and ends
// boxes whose time is over. Lock order: only `mutex_`. A box leaves the table in two steps: the
// loop sees its last process end and reports its commands (`gone`), then whoever waits removes its
// groups.

#include <atomic>
#include <deque>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>

#include "sphere/launcher/channel.h"
#include "sphere/native/box.h"
#include "sphere/native/host_inspection.h"
#include "sphere/native/leftovers.h"

namespace sphere::native {

class NativeSphere final : public Sphere {
public:
    static base::Result<std::unique_ptr<Sphere>> open(const SphereOptions& options,
                                                      const base::Clock& clock);
    ~NativeSphere() override;

    using Sphere::create;
    base::Result<SandboxId> create(const SandboxSpec& spec, const Secrets& secrets) override;
    base::Result<void> destroy(const SandboxId& id) override;
    base::Result<ExecId> start(const SandboxId& id, const ExecSpec& spec, ExecSink& sink) override;
    base::Result<void> write_stdin(const SandboxId& id, ExecId exec, std::string_view bytes,
                                   bool end_of_file) override;
    base::Result<void> resize_tty(const SandboxId& id, ExecId exec, std::uint16_t columns,
                                  std::uint16_t rows) override;
    base::Result<void> signal(const SandboxId& id, ExecId exec, int number) override;
    base::Result<void> pause(const SandboxId& id) override;
    base::Result<void> resume(const SandboxId& id) override;
    base::Result<SandboxInfo> info(const SandboxId& id) const override;
    std::vector<SandboxInfo> list() const override;
    std::uint32_t emergency_stop(const StopScope& scope) override;
    void lift_stop(const StopScope& scope) override;
    base::Result<int> open_workspace(const SandboxId& id) override;
    base::Result<int> dial(const SandboxId& id, std::uint16_t port) override;
    base::Result<void> set_network(const SandboxId& id, const NetworkPolicy& policy) override;

private:
    using BoxPtr = std::shared_ptr<Box>;
    using Lock = std::unique_lock<std::mutex>;

    /// What a descriptor in epoll belongs to.
    struct Watch {
        enum class Kind { wake, launcher, init, life, input, output, errors } kind;
        BoxPtr box;
        ExecId exec = 0;
    };

    NativeSphere(const SphereOptions& options, const base::Clock& clock, ProbeAnswers answers);
    base::Result<void> begin();
    base::Result<void> start_launcher_process();

    // Making and ending boxes (box_life.cc).
    base::Result<BoxPtr> make_box(const SandboxSpec& spec);
    base::Result<void> ask_launcher(Box& box, int init_socket);
    BoxPtr take_from_pool(const SandboxSpec& spec);
    base::Result<void> publish(const BoxPtr& box, const SandboxSpec& spec, const Secrets& secrets);
    /// Why a stop forbids this, if one does. Pre: locked.
    base::Result<void> check_stops(const SandboxSpec& spec, const SandboxId& id) const;
    /// Kills everything in it. Pre: locked.
    void kill_box(Box& box, EndReason reason);
    /// Waits until it is gone and removes its groups. Pre: kill_box was called.
    void bury(Lock& lock, const BoxPtr& box);
    base::Result<BoxPtr> find(const SandboxId& id) const;
    base::Result<Exec*> find_running(Box& box, ExecId exec) const;
    SandboxInfo describe(const Box& box) const;

    // The network (box_network.cc).
    /// Has the broker serve it, where its network mode needs one.
    base::Result<void> serve(Box& box, const SandboxSpec& spec, const Secrets& secrets);
    base::Result<egress::Broker*> broker();
    base::Result<base::UniqueFd> ask_init_to_dial(Lock& lock, Box& box, std::uint16_t port,
                                                  bool v6);
    /// The message an init sends about a socket, its descriptor with it. False: another message.
    bool take_socket(Box& box, launcher::Packet& packet);

    // Starting commands (commands.cc).
    base::Result<void> open_streams(Exec& exec, const ExecSpec& spec, int (&ends)[3]);
    base::Result<void> send_start(Box& box, Exec& exec, const ExecSpec& spec, const int (&ends)[3]);

    // The loop (loop.cc).
    void run_loop();
    void watch(WatchedFd& fd, Watch::Kind kind, const BoxPtr& box, ExecId exec);
    void unwatch(WatchedFd& fd);
    void handle(std::uint64_t token, std::uint32_t events);
    void on_launcher();
    void on_init(const BoxPtr& box);
    void on_life(const BoxPtr& box);
    void on_stream(const Watch& stream, std::uint32_t events);
    /// Has the loop write what waits. Pre: locked.
    void want_input(const BoxPtr& box, Exec& exec);
    void write_input(const BoxPtr& box, Exec& exec);
    /// False when the stream has ended.
    bool read_output(Box& box, Exec& exec, Stream stream);
    void drain(Box& box, Exec& exec);
    void on_exited(const BoxPtr& box, const launcher::Exited& exited);
    void report(Box& box, Exec& exec, const launcher::Exited* exited);
    void close_streams(Exec& exec);
    void run_timers();
    void on_due(const BoxPtr& box, Exec& exec, base::Instant now);
    void end_exec(Box& box, Exec& exec, EndReason reason);
    void set_due(Box& box, Exec& exec, base::Instant due);
    int wait_ms();
    void wake();

    void run_keeper();
    void fill_pool(Lock& lock);
    void end_expired(Lock& lock);

    const SphereOptions options_;
    const base::Clock& clock_;
    const ProbeAnswers answers_;
    const SandboxSpec default_spec_;
    GroupTree groups_;
    StateFile state_;
    base::UniqueFd launcher_;
    int launcher_pid_ = 0;

    mutable std::mutex mutex_;
    std::map<SandboxId, BoxPtr> boxes_;                    ///< published
    std::unordered_map<std::uint64_t, BoxPtr> by_number_;  ///< every one not buried
    std::deque<BoxPtr> pool_;
    std::deque<SandboxInfo> ended_;  ///< the latest, so that a known id stays known
    std::vector<StopScope> stops_;
    std::uint64_t next_box_ = 1, next_token_ = 1;
    std::uint32_t making_ = 0;
    bool launcher_gone_ = false, stopping_ = false;
    std::unordered_map<std::uint64_t, Watch> watches_;
    std::set<std::tuple<base::Instant, std::uint64_t, ExecId>> dues_;  ///< when to look at an exec

    std::mutex broker_mutex_;  ///< for making it; taken before mutex_ or without it
    std::unique_ptr<egress::Broker> broker_;

    base::UniqueFd epoll_, wake_;
    std::thread loop_, keeper_;
    std::condition_variable keeper_wakes_;
    std::atomic<bool> loop_stops_ = false;
    std::vector<char> buffer_;       ///< the loop's, for streams
    std::vector<std::byte> packet_;  ///< the loop's, for sockets
};

}  // namespace sphere::native
