// SPDX-License-Identifier: Apache-2.0
#include "os/cpu.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string_view>
#include <thread>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace plait::os {
namespace {

#if defined(__x86_64__)

struct Leaf {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Leaf cpuid(std::uint32_t leaf, std::uint32_t subleaf = 0) {
  Leaf r;
  if (__get_cpuid_max(leaf & 0x80000000U, nullptr) < leaf) return r;
  __cpuid_count(leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx);
  return r;
}

std::uint64_t enabled_states() {
  std::uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<std::uint64_t>(high) << 32) | low;
}

std::string brand() {
  std::string text;
  for (std::uint32_t leaf = 0x80000002U; leaf <= 0x80000004U; ++leaf) {
    const Leaf r = cpuid(leaf);
    char bytes[16];
    std::memcpy(bytes, &r, sizeof bytes);
    text.append(bytes, sizeof bytes);
  }
  text.resize(std::min(text.find('\0'), text.size()));
  const auto first = text.find_first_not_of(' ');
  return first == std::string::npos ? std::string{} : text.substr(first, text.find_last_not_of(' ') - first + 1);
}

CpuFeatures detect() {
  CpuFeatures f;
  f.model_name = brand();
  const Leaf one = cpuid(1);
  const bool os_saves_state = ((one.ecx >> 27) & 1U) != 0;
  if (!os_saves_state) return f;
  const std::uint64_t states = enabled_states();
  const auto on = [](std::uint32_t word, int bit) { return ((word >> bit) & 1U) != 0; };
  const Leaf seven = cpuid(7);
  const Leaf seven_one = cpuid(7, 1);
  if ((states & 0x6) == 0x6) {  // SSE and AVX registers
    f.avx2 = on(seven.ebx, 5);
    f.fma = on(one.ecx, 12);
    f.f16c = on(one.ecx, 29);
    f.avx_vnni = on(seven_one.eax, 4);
  }
  if ((states & 0xe6) == 0xe6) {  // mask and 512-bit registers too
    f.avx512f = on(seven.ebx, 16);
    f.avx512dq = on(seven.ebx, 17);
    f.avx512bw = on(seven.ebx, 30);
    f.avx512vl = on(seven.ebx, 31);
    f.avx512_vbmi = on(seven.ecx, 1);
    f.avx512_vnni = on(seven.ecx, 11);
    f.avx512_bf16 = on(seven_one.eax, 5);
  }
  if ((states & 0x60000) == 0x60000) {  // tile configuration and tile data
    f.amx_bf16 = on(seven.edx, 22);
    f.amx_tile = on(seven.edx, 24);
    f.amx_int8 = on(seven.edx, 25);
  }
  return f;
}

bool ask_for_tiles() {
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;
  return cpu_features().amx_tile && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

#else

CpuFeatures detect() { return {}; }
bool ask_for_tiles() { return false; }

#endif

/// Quota of the nearest cgroup that has one, in cores; 0: none.
int cgroup_cores() {
  std::ifstream v2("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (v2 >> quota >> period && quota != "max" && period > 0) {
    return static_cast<int>((std::strtod(quota.c_str(), nullptr) + period - 1) / period);
  }
  std::ifstream quota_v1("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  std::ifstream period_v1("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  double microseconds = 0;
  if (quota_v1 >> microseconds && period_v1 >> period && microseconds > 0 && period > 0) {
    return static_cast<int>((microseconds + period - 1) / period);
  }
  return 0;
}

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
}

bool enable_amx() {
  static const bool enabled = ask_for_tiles();
  return enabled;
}

int usable_cores() {
  int cores = static_cast<int>(std::thread::hardware_concurrency());
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) cores = CPU_COUNT(&set);
  const int quota = cgroup_cores();
  if (quota > 0) cores = std::min(cores, quota);
  return std::max(cores, 1);
}

}  // namespace plait::os
