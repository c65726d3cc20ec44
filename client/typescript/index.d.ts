// The shapes of Reveille's API. Written by tools/client from its description; do not edit.

export interface AgentOut {
  id: string;
  tenant_id: string;
  name: string;
  runtime: HttpRuntimeOut | LlmRuntimeOut | CommandRuntimeOut | A2aRuntimeOut;
  role_description: string;
  language: string;
  timezone: string | null;
  dedup_delay_seconds: number;
  max_batch: number;
  timeout_seconds: number;
  max_triggers: number;
  min_poll_interval_min: number;
  webhook_rate_limit: number;
  max_tokens_per_day: number | null;
  max_invocations_per_hour: number | null;
  is_paused: boolean;
  paused_note: string | null;
  expect_wake_within: number | null;
  expires_at: string | null;
  mcp_servers: Array<McpServerOut>;
  header_names: Record<string, Array<string>>;
  approve_triggers: boolean;
  public_card: boolean;
  created_at: string;
  updated_at: string;
}

export interface A2aRuntimeOut {
  kind: "a2a";
  url: string;
}

export interface CommandRuntimeOut {
  kind: "command";
  name: string;
}

export interface Follow {
  location: boolean | string | null;
  poll_path: string | null;
  done_path: string | null;
  done_values: Array<string | boolean | number> | null;
  failed_values: Array<string | boolean | number> | null;
  result_path: string | null;
  cancel_path: string | null;
  cancel_method: "POST" | "DELETE" | "PUT" | "PATCH" | null;
  poll_seconds: number | null;
}

export interface HttpRuntimeOut {
  kind: "http";
  preset: string | null;
  url: string;
  secret: string | null;
  accepted: string | null;
  parameters: Record<string, string> | null;
  method: string | null;
  path: string | null;
  body: unknown;
  sign: boolean | null;
  reply_path: string | null;
  error_path: string | null;
  usage_path: string | null;
  async: Follow | null;
}

export interface LlmRuntimeOut {
  kind: "llm";
  model_id: string;
  fallback_model_id: string | null;
  instructions: string;
  tool_rounds: number;
  tools_by_trust: Record<string, Array<string>>;
}

export interface McpServerOut {
  name: string;
  url: string | null;
  command: string | null;
}

export interface AgentIn {
  role_description?: string;
  language?: "en" | "zh";
  timezone?: string | null;
  dedup_delay_seconds?: number;
  max_batch?: number;
  timeout_seconds?: number;
  max_triggers?: number | null;
  min_poll_interval_min?: number | null;
  webhook_rate_limit?: number | null;
  max_tokens_per_day?: number | null;
  max_invocations_per_hour?: number | null;
  expect_wake_within?: number | null;
  expires_at?: string | null;
  mcp_servers?: Array<McpServer>;
  approve_triggers?: boolean;
  public_card?: boolean;
  name: string;
  runtime: HttpRuntime | LlmRuntime | CommandRuntime | A2aRuntime;
}

export interface A2aRuntime {
  kind: "a2a";
  url: string;
  secret: string | null;
  headers: Record<string, string> | null;
}

export interface CommandRuntime {
  kind: "command";
  name: string;
}

export interface HttpRuntime {
  kind: "http";
  preset: string | null;
  url: string;
  secret: string | null;
  token: string | null;
  accepted: "done" | "awaits" | null;
  parameters: Record<string, string> | null;
  method: "GET" | "POST" | "PUT" | "PATCH" | null;
  path: string | null;
  headers: Record<string, string> | null;
  body: unknown;
  sign: boolean | null;
  reply_path: string | null;
  error_path: string | null;
  usage_path: string | null;
  async: Follow | null;
}

export interface LlmRuntime {
  kind: "llm";
  model_id: string;
  fallback_model_id: string | null;
  instructions: string;
  tool_rounds: number;
  tools_by_trust: Record<string, Array<string>>;
}

export interface McpServer {
  name: string;
  url: string | null;
  command: string | null;
  headers: Record<string, string | null> | null;
}

export interface AgentsMade {
  items: Array<AgentOut>;
}

export interface AgentsIn {
  items: Array<AgentIn>;
}

export interface AgentPage {
  items: Array<AgentOut>;
  next: string | null;
}

export interface RuntimeTypesOut {
  items: Array<RuntimeTypeOut>;
}

export interface PresetOut {
  name: string;
  label: string;
  summary: string;
  docs: string;
  url: string;
  needs_token: boolean;
  parameters: Array<PresetParameterOut>;
}

export interface PresetParameterOut {
  name: string;
  description: string;
  default: string | null;
}

export interface RuntimeTypeOut {
  kind: string;
  label: string;
  summary: string;
  docs: string;
  presets: Array<PresetOut>;
  config_schema: Record<string, unknown>;
}

export interface AgentWhole {
  id: string;
  tenant_id: string;
  name: string;
  runtime: HttpRuntimeOut | LlmRuntimeOut | CommandRuntimeOut | A2aRuntimeOut;
  role_description: string;
  language: string;
  timezone: string | null;
  dedup_delay_seconds: number;
  max_batch: number;
  timeout_seconds: number;
  max_triggers: number;
  min_poll_interval_min: number;
  webhook_rate_limit: number;
  max_tokens_per_day: number | null;
  max_invocations_per_hour: number | null;
  is_paused: boolean;
  paused_note: string | null;
  expect_wake_within: number | null;
  expires_at: string | null;
  mcp_servers: Array<McpServerOut>;
  header_names: Record<string, Array<string>>;
  approve_triggers: boolean;
  public_card: boolean;
  created_at: string;
  updated_at: string;
  budget: BudgetOut;
}

export interface BudgetOut {
  tokens_per_day: SpendingOut;
  invocations_per_hour: SpendingOut;
  tenant_tokens_per_day: SpendingOut | null;
  tenant_invocations_per_hour: SpendingOut | null;
  held_until: string | null;
  note: string | null;
}

export interface SpendingOut {
  used: number;
  limit: number | null;
}

export interface AgentPatch {
  role_description?: string;
  language?: "en" | "zh";
  timezone?: string | null;
  dedup_delay_seconds?: number;
  max_batch?: number;
  timeout_seconds?: number;
  max_triggers?: number | null;
  min_poll_interval_min?: number | null;
  webhook_rate_limit?: number | null;
  max_tokens_per_day?: number | null;
  max_invocations_per_hour?: number | null;
  expect_wake_within?: number | null;
  expires_at?: string | null;
  mcp_servers?: Array<McpServer>;
  approve_triggers?: boolean;
  public_card?: boolean;
  name?: string;
  runtime?: Record<string, unknown>;
}

export interface NoteIn {
  note?: string | null;
}

export interface TriggerOut {
  id: string;
  tenant_id: string;
  agent_id: string;
  name: string;
  type: string;
  config: Record<string, unknown>;
  reason: string;
  focus_ref: string | null;
  timezone: string;
  urgent: boolean;
  max_fires: number | null;
  cooldown_seconds: number;
  expires_at: string | null;
  misfire_policy: string;
  grace_seconds: number;
  notification_summary: string | null;
  expect_within: number | null;
  expect: string;
  is_enabled: boolean;
  paused_note: string | null;
  paused_by: string | null;
  next_fire_at: string | null;
  fire_count: number;
  last_fired_at: string | null;
  is_system: boolean;
  managed_by_agent: boolean;
  created_by: string;
  approval: string | null;
  created_at: string;
  updated_at: string;
  hook_url: string | null;
}

export interface TriggerIn {
  reason?: string;
  focus_ref?: string | null;
  urgent?: boolean;
  max_fires?: number | null;
  cooldown_seconds?: number;
  expires_at?: string | null;
  misfire_policy?: "latest" | "all" | "skip";
  grace_seconds?: number;
  notification_summary?: string | null;
  expect_within?: number | null;
  expect?: "firing" | "success";
  managed_by_agent?: boolean;
  name: string;
  type: string;
  config?: Record<string, unknown>;
}

export interface TriggersMade {
  items: Array<TriggerOut>;
}

export interface TriggersIn {
  items: Array<TriggerRow>;
}

export interface TriggerRow {
  reason: string;
  focus_ref: string | null;
  urgent: boolean;
  max_fires: number | null;
  cooldown_seconds: number;
  expires_at: string | null;
  misfire_policy: "latest" | "all" | "skip";
  grace_seconds: number;
  notification_summary: string | null;
  expect_within: number | null;
  expect: "firing" | "success";
  managed_by_agent: boolean;
  name: string;
  type: string;
  config: Record<string, unknown>;
  agent_id: string;
}

export interface TriggerPage {
  items: Array<TriggerOut>;
  next: string | null;
}

export interface TriggerWhole {
  id: string;
  tenant_id: string;
  agent_id: string;
  name: string;
  type: string;
  config: Record<string, unknown>;
  reason: string;
  focus_ref: string | null;
  timezone: string;
  urgent: boolean;
  max_fires: number | null;
  cooldown_seconds: number;
  expires_at: string | null;
  misfire_policy: string;
  grace_seconds: number;
  notification_summary: string | null;
  expect_within: number | null;
  expect: string;
  is_enabled: boolean;
  paused_note: string | null;
  paused_by: string | null;
  next_fire_at: string | null;
  fire_count: number;
  last_fired_at: string | null;
  is_system: boolean;
  managed_by_agent: boolean;
  created_by: string;
  approval: string | null;
  created_at: string;
  updated_at: string;
  hook_url: string | null;
  acks: AckCounts;
  header_names: Array<string>;
}

export interface AckCounts {
  handled: number;
  deferred: number;
  ignored: number;
}

export interface TriggerPatch {
  reason?: string;
  focus_ref?: string | null;
  urgent?: boolean;
  max_fires?: number | null;
  cooldown_seconds?: number;
  expires_at?: string | null;
  misfire_policy?: "latest" | "all" | "skip";
  grace_seconds?: number;
  notification_summary?: string | null;
  expect_within?: number | null;
  expect?: "firing" | "success";
  managed_by_agent?: boolean;
  name?: string;
  type?: string;
  config?: Record<string, unknown>;
  is_enabled?: boolean;
}

export interface FiredOut {
  firing_id: string;
  invocation_id: string;
  duplicate: boolean;
}

export interface PreviewOut {
  fire_times: Array<string>;
  notes: Array<PreviewNote>;
}

export interface PreviewNote {
  at: string;
  kind: string;
  text: string;
}

export interface PreviewIn {
  type: string;
  config?: Record<string, unknown>;
  timezone?: string | null;
  after?: string | null;
  count?: number;
}

export interface TriggerTypesOut {
  items: Array<TriggerTypeOut>;
}

export interface TriggerTypeOut {
  type: string;
  label: string;
  summary: string;
  docs: string;
  is_offered: boolean;
  config_schema: Record<string, unknown>;
}

export interface ApproveIn {
  updated_at?: string | null;
}

export interface DeliveryPage {
  items: Array<DeliveryOut>;
  next: string | null;
}

export interface DeliveryOut {
  id: string;
  trigger_id: string;
  received_at: string;
  verdict: string;
  reason: string | null;
  delivery_key: string | null;
  content_type: string | null;
  size: number;
  firing_id: string | null;
}

export interface DeliveryWhole {
  id: string;
  trigger_id: string;
  received_at: string;
  verdict: string;
  reason: string | null;
  delivery_key: string | null;
  content_type: string | null;
  size: number;
  firing_id: string | null;
  body: string | null;
  body_base64: string | null;
}

export interface RedeliveredListOut {
  items: Array<RedeliveredOut>;
}

export interface RedeliveredOut {
  delivery_id: string;
  firing_id: string;
  invocation_id: string;
}

export interface DeliveryRange {
  since: string;
  until: string;
}

export interface TrialOut {
  status: "found" | "nothing_there" | "failed";
  value: unknown;
  value_cut: boolean;
  as_sent: string | null;
  would_fire: boolean;
  error: string | null;
}

export interface TrialIn {
  type?: string;
  config: Record<string, unknown>;
}

export interface PollOut {
  checked_at: string | null;
  failures: number;
  first_failure_at: string | null;
  note: string | null;
  is_seen: boolean;
  value: unknown;
  value_cut: boolean;
  as_sent: string | null;
}

export interface WakeIn {
  message: string;
  from_agent_id?: string | null;
  skip_dedup?: boolean;
}

export interface HeartbeatIn {
  minutes?: number;
  only_between?: string | null;
  instruction?: string;
  enabled?: boolean;
}

export interface FocusPage {
  items: Array<FocusOut>;
  next: string | null;
}

export interface FocusOut {
  focus_ref: string;
  triggers: number;
  enabled: number;
}

export interface NotesOut {
  text: string;
  updated_at: string | null;
  updated_by: string | null;
  most: number;
}

export interface NotesIn {
  text: string;
}

export interface FiringPage {
  items: Array<FiringOut>;
  next: string | null;
}

export interface FiringOut {
  id: string;
  agent_id: string;
  trigger_id: string;
  trigger_name: string;
  trigger_type: string;
  reason: string;
  focus_ref: string | null;
  state: string;
  fired_at: string;
  first_scheduled_for: string | null;
  scheduled_for: string | null;
  slot_count: number;
  slots_exact: boolean;
  content_type: string | null;
  payload_size: number | null;
  trust: string;
  invocation_id: string;
  root_id: string;
  depth: number;
  ack: string | null;
  acked_at: string | null;
  deferred_until: string | null;
}

export type FiringState = "pending" | "delivered" | "dead" | "skipped" | "cancelled";

export interface FiringWhole {
  id: string;
  agent_id: string;
  trigger_id: string;
  trigger_name: string;
  trigger_type: string;
  reason: string;
  focus_ref: string | null;
  state: string;
  fired_at: string;
  first_scheduled_for: string | null;
  scheduled_for: string | null;
  slot_count: number;
  slots_exact: boolean;
  content_type: string | null;
  payload_size: number | null;
  trust: string;
  invocation_id: string;
  root_id: string;
  depth: number;
  ack: string | null;
  acked_at: string | null;
  deferred_until: string | null;
  payload: string | null;
  payload_base64: string | null;
  data: Record<string, unknown> | null;
  documents: Array<DocumentOut>;
}

export interface DocumentOut {
  number: number;
  name: string;
  content_type: string;
  size: number;
}

export interface AckIn {
  status: "handled" | "deferred" | "ignored";
  until?: string | null;
}

export interface InvocationPage {
  items: Array<InvocationOut>;
  next: string | null;
}

export interface InvocationOut {
  id: string;
  agent_id: string;
  state: string;
  reason: string | null;
  firing_count: number;
  opened_at: string;
  due_at: string | null;
  held_reason: string | null;
  held_until: string | null;
  held_note: string | null;
  ready_at: string | null;
  started_at: string | null;
  finished_at: string | null;
  deadline_at: string | null;
  attempt: number;
  cancel_requested: boolean;
  replayed_into: string | null;
  tokens_in: number;
  tokens_out: number;
  cost: number;
}

export type InvocationState = "collecting" | "ready" | "running" | "awaiting" | "retrying" | "succeeded" | "dead" | "skipped" | "cancelled";

export interface InvocationWhole {
  id: string;
  agent_id: string;
  state: string;
  reason: string | null;
  firing_count: number;
  opened_at: string;
  due_at: string | null;
  held_reason: string | null;
  held_until: string | null;
  held_note: string | null;
  ready_at: string | null;
  started_at: string | null;
  finished_at: string | null;
  deadline_at: string | null;
  attempt: number;
  cancel_requested: boolean;
  replayed_into: string | null;
  tokens_in: number;
  tokens_out: number;
  cost: number;
  firings: Array<FiringOut>;
  tries: Array<TryOut>;
  context: string | null;
  reply: string | null;
  reply_truncated: boolean;
  session_id: string | null;
  transcript: Array<MessageOut>;
}

export interface MessageOut {
  id: string;
  session_id: string;
  role: string;
  from_type: string;
  from_id: string;
  to_agent_id: string | null;
  channel: string;
  text: string;
  length: number;
  root_id: string | null;
  depth: number;
  tool_name: string | null;
  tool_arguments: string | null;
  tool_state: string | null;
  ended_at: string | null;
  created_at: string;
}

export interface TryOut {
  attempt: number;
  started_at: string;
  ended_at: string;
  outcome: string;
  error: string | null;
  note: string | null;
}

export interface ReplayedOut {
  invocation_id: string;
}

export interface CompletedOut {
  id: string;
  agent_id: string;
  state: string;
  reason: string | null;
  firing_count: number;
  opened_at: string;
  due_at: string | null;
  held_reason: string | null;
  held_until: string | null;
  held_note: string | null;
  ready_at: string | null;
  started_at: string | null;
  finished_at: string | null;
  deadline_at: string | null;
  attempt: number;
  cancel_requested: boolean;
  replayed_into: string | null;
  tokens_in: number;
  tokens_out: number;
  cost: number;
  acks: Array<AckedOut>;
}

export interface AckedOut {
  firing_id: string;
  status: string | null;
  until: string | null;
  error: string | null;
}

export interface CompleteIn {
  attempt: number;
  reply?: string | null;
  error?: string | null;
  acks?: Array<unknown> | null;
  usage?: unknown;
}

export interface UserOut {
  id: string;
  tenant_id: string;
  name: string;
  display_name: string;
  external_ids: Record<string, string>;
  created_at: string;
}

export interface UserIn {
  name: string;
  display_name?: string | null;
  external_ids?: Record<string, unknown>;
}

export interface UserPage {
  items: Array<UserOut>;
  next: string | null;
}

export interface ReceivedOut {
  id: string;
  session_id: string;
  duplicate: boolean;
  firing_ids: Array<string>;
}

export interface MessageIn {
  from?: SenderIn | null;
  to_agent_id: string;
  text: string;
  channel?: string | null;
  session_id?: string | null;
  event_id?: string | null;
}

export interface SenderIn {
  type: "user" | "agent";
  id?: string | null;
  name?: string | null;
}

export interface MessageWhole {
  id: string;
  session_id: string;
  role: string;
  from_type: string;
  from_id: string;
  to_agent_id: string | null;
  channel: string;
  text: string;
  length: number;
  root_id: string | null;
  depth: number;
  tool_name: string | null;
  tool_arguments: string | null;
  tool_state: string | null;
  ended_at: string | null;
  created_at: string;
}

export interface SessionPage {
  items: Array<SessionOut>;
  next: string | null;
}

export interface SessionOut {
  id: string;
  agent_id: string;
  user_id: string | null;
  peer_agent_id: string | null;
  channel: string;
  thread: string;
  title: string;
  is_reflection: boolean;
  invocation_id: string | null;
  created_at: string;
}

export interface MessagePage {
  items: Array<MessageOut>;
  next: string | null;
}

export type CallState = "running" | "done" | "failed" | "interrupted";

export interface ChannelOut {
  id: string;
  tenant_id: string;
  agent_id: string;
  kind: string;
  name: string;
  bot_user_id: string | null;
  is_enabled: boolean;
  events_url: string;
  note: string | null;
  noted_at: string | null;
  created_at: string;
  updated_at: string;
}

export interface ChannelIn {
  bot_user_id?: string | null;
  is_enabled?: boolean;
  name: string;
  kind: string;
  agent_id: string;
  secrets: Record<string, string | null>;
}

export interface ChannelPage {
  items: Array<ChannelOut>;
  next: string | null;
}

export interface ChannelPatch {
  bot_user_id?: string | null;
  is_enabled?: boolean;
  name?: string;
  kind?: string;
  agent_id?: string;
  secrets?: Record<string, string | null>;
}

export interface TargetOut {
  id: string;
  tenant_id: string;
  agent_id: string;
  name: string;
  kind: string;
  host: string;
  delivered_at: string | null;
  note: string | null;
  noted_at: string | null;
  created_at: string;
  secret: string | null;
}

export interface TargetIn {
  name: string;
  kind: string;
  url: string;
  secret?: string | null;
}

export interface TargetPage {
  items: Array<TargetOut>;
  next: string | null;
}

export interface TestedOut {
  delivered: boolean;
  error: string | null;
}

export interface ModelOut {
  id: string;
  tenant_id: string;
  name: string;
  provider: string;
  model: string;
  base_url: string | null;
  has_key: boolean;
  key_env: string | null;
  is_enabled: boolean;
  max_output_tokens: number | null;
  input_price: number;
  output_price: number;
  created_at: string;
  updated_at: string;
}

export interface ModelIn {
  base_url?: string | null;
  key?: string | null;
  key_env?: string | null;
  is_enabled?: boolean;
  max_output_tokens?: number | null;
  input_price?: number;
  output_price?: number;
  name: string;
  provider: "openai" | "openai-compatible" | "anthropic" | "google";
  model: string;
}

export interface ModelPage {
  items: Array<ModelOut>;
  next: string | null;
}

export interface ModelPatch {
  base_url?: string | null;
  key?: string | null;
  key_env?: string | null;
  is_enabled?: boolean;
  max_output_tokens?: number | null;
  input_price?: number;
  output_price?: number;
  name?: string;
  provider?: "openai" | "openai-compatible" | "anthropic" | "google";
  model?: string;
}

export interface ModelTestedOut {
  ok: boolean;
  latency_ms: number;
  text: string;
  tokens_in: number;
  tokens_out: number;
  error: string | null;
}

export interface UsageOut {
  days: Array<DayOut>;
  triggers: Array<TriggerUsageOut>;
}

export interface DayOut {
  day: string;
  tokens_in: number;
  tokens_out: number;
  cost: number;
  invocations: number;
}

export interface TriggerUsageOut {
  trigger_id: string;
  trigger_name: string;
  firings: number;
  tokens_in: number;
  tokens_out: number;
  cost: number;
}

export interface InsightsOut {
  from: string;
  to: string;
  step: Step;
  zone: string;
  currency: string;
  totals: PeriodFiguresOut;
  buckets: Array<BucketOut>;
  failing_agents: Array<AgentSumsOut>;
  spending_agents: Array<AgentSumsOut>;
  noisy_triggers: Array<NoisyTriggerOut>;
  month: MonthOut;
}

export interface AgentSumsOut {
  tokens_in: number;
  tokens_out: number;
  cost: number;
  id: string;
  name: string;
  wakes: number;
  failures: number;
  skipped: number;
}

export interface BucketOut {
  tokens_in: number;
  tokens_out: number;
  cost: number;
  firings: number;
  wakes: number;
  failures: number;
  skipped: number;
  start: string;
  lateness_p50: number | null;
  lateness_p95: number | null;
  lateness_max: number | null;
}

export interface MonthOut {
  tokens_in: number;
  tokens_out: number;
  cost: number;
  start: string;
  end: string;
  invocations: number;
  budget: number | null;
}

export interface NoisyTriggerOut {
  id: string;
  name: string;
  type: string;
  agent_id: string;
  agent_name: string;
  firings: number;
}

export interface PeriodFiguresOut {
  tokens_in: number;
  tokens_out: number;
  cost: number;
  firings: number;
  wakes: number;
  failures: number;
  skipped: number;
}

export type Step = "hour" | "day";

export interface AppliedOut {
  changes: Array<ChangeOut>;
  unchanged: number;
  notes: Array<string>;
  dry_run: boolean;
}

export interface ChangeOut {
  action: "create" | "update" | "delete";
  kind: string;
  agent: string | null;
  name: string;
  fields: Array<FieldChangeOut>;
  note: string | null;
  secret: string | null;
  hook_url: string | null;
}

export interface FieldChangeOut {
  path: string;
  before: unknown;
  after: unknown;
  is_secret: boolean;
  edited_by: string | null;
  edited_at: string | null;
}

export interface DefinitionsIn {
  models?: Array<ModelDefinition>;
  agents?: Array<AgentDefinition>;
  triggers?: Array<TriggerDefinition>;
  targets?: Array<TargetDefinition>;
  channels?: Array<ChannelDefinition>;
  set?: string;
  dry_run?: boolean;
  prune?: boolean;
}

export interface AgentDefinition {
  role_description: string;
  language: "en" | "zh";
  timezone: string | null;
  dedup_delay_seconds: number;
  max_batch: number;
  timeout_seconds: number;
  max_triggers: number | null;
  min_poll_interval_min: number | null;
  webhook_rate_limit: number | null;
  max_tokens_per_day: number | null;
  max_invocations_per_hour: number | null;
  expect_wake_within: number | null;
  expires_at: string | null;
  mcp_servers: Array<McpServer>;
  approve_triggers: boolean;
  public_card: boolean;
  name: string;
  renamed_from: string | null;
  runtime: Record<string, unknown>;
  is_paused: boolean | null;
  heartbeat: HeartbeatDefinition | null;
}

export interface ChannelDefinition {
  bot_user_id: string | null;
  is_enabled: boolean | null;
  agent: string;
  name: string;
  renamed_from: string | null;
  kind: string;
  secrets: Record<string, string | null>;
}

export interface HeartbeatDefinition {
  minutes: number;
  only_between: string | null;
  instruction: string;
  enabled: boolean | null;
}

export interface ModelDefinition {
  base_url: string | null;
  key: string | null;
  key_env: string | null;
  is_enabled: boolean;
  max_output_tokens: number | null;
  input_price: number;
  output_price: number;
  name: string;
  provider: "openai" | "openai-compatible" | "anthropic" | "google";
  model: string;
  renamed_from: string | null;
}

export interface TargetDefinition {
  name: string;
  kind: string;
  url: string | null;
  secret: string | null;
  agent: string;
  renamed_from: string | null;
}

export interface TriggerDefinition {
  reason: string;
  focus_ref: string | null;
  urgent: boolean;
  max_fires: number | null;
  cooldown_seconds: number;
  expires_at: string | null;
  misfire_policy: "latest" | "all" | "skip";
  grace_seconds: number;
  notification_summary: string | null;
  expect_within: number | null;
  expect: "firing" | "success";
  managed_by_agent: boolean;
  name: string;
  type: string;
  config: Record<string, unknown>;
  agent: string;
  renamed_from: string | null;
  is_enabled: boolean | null;
}

export interface DefinitionsOut {
  models: Array<Record<string, unknown>>;
  agents: Array<Record<string, unknown>>;
  left_out: Array<string>;
}

export interface SearchOut {
  items: Array<MatchOut>;
}

export interface MatchOut {
  kind: string;
  id: string;
  title: string | null;
  detail: string | null;
  at: string | null;
}

export interface SimulatedOut {
  start: string;
  end: string;
  agents: Array<AgentFiguresOut>;
  triggers: Array<TriggerFiguresOut>;
  clock_changes: Array<ClockChangeOut>;
  notes: Array<string>;
}

export interface AgentFiguresOut {
  name: string;
  today: FiguresOut | null;
  proposed: FiguresOut | null;
}

export interface ClockChangeOut {
  agent: string;
  name: string;
  at: string;
  zone: string;
  kind: string;
  slots: number;
  text: string;
}

export interface FiguresOut {
  firings: number;
  wakes: number;
  merged: number;
  waiting: number;
  held: number;
  largest: number;
  mean_wait: number;
  longest_wait: number;
  tokens: number;
  cost: number;
}

export interface TriggerFiguresOut {
  agent: string;
  name: string;
  today: number | null;
  proposed: number | null;
}

export interface SimulationIn {
  models?: Array<ModelDefinition>;
  agents?: Array<AgentDefinition>;
  triggers?: Array<TriggerDefinition>;
  targets?: Array<TargetDefinition>;
  channels?: Array<ChannelDefinition>;
  days?: number;
  rates?: Array<RateIn>;
  run_seconds?: number | null;
  tokens?: number | null;
  cost?: number | null;
  seed?: number;
}

export interface RateIn {
  agent: string;
  trigger: string;
  per_hour: number;
}

export interface AuditPage {
  items: Array<AuditOut>;
  next: string | null;
}

export interface AuditOut {
  id: string;
  at: string;
  actor: string;
  action: string;
  subject_type: string;
  subject_id: string | null;
  agent_id: string | null;
  detail: Record<string, unknown>;
}

export interface KeyCreated {
  id: string;
  tenant_id: string | null;
  name: string;
  prefix: string;
  scopes: Array<string>;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
  key: string;
}

export interface KeyIn {
  name: string;
  scopes: Array<string>;
  tenant_id?: string | null;
  expires_at?: string | null;
}

export interface KeyPage {
  items: Array<KeyOut>;
  next: string | null;
}

export interface KeyOut {
  id: string;
  tenant_id: string | null;
  name: string;
  prefix: string;
  scopes: Array<string>;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
}

export interface WebUserOut {
  id: string;
  tenant_id: string | null;
  name: string;
  scope: string;
  created_at: string;
}

export interface WebUserIn {
  name: string;
  password: string;
  scope?: "admin" | "write" | "read";
  tenant_id?: string | null;
}

export interface WebUserPage {
  items: Array<WebUserOut>;
  next: string | null;
}

export interface WebUserPatch {
  password?: string;
  scope?: "admin" | "write" | "read";
}

export interface TenantOut {
  id: string;
  name: string;
  timezone: string;
  default_max_triggers: number;
  min_poll_interval_min: number;
  min_heartbeat_interval: number;
  max_webhook_rate: number;
  max_webhook_body_bytes: number;
  max_tokens_per_day: number | null;
  max_invocations_per_hour: number | null;
  max_concurrent_runs: number | null;
  alert_quiet_hours: string | null;
  cost_budget_per_month: number | null;
  alert_remind_minutes: number | null;
  keep_firings_days: number | null;
  keep_invocations_days: number | null;
  keep_deliveries_days: number | null;
  keep_messages_days: number | null;
  keep_notifications_days: number | null;
  keep_audit_days: number | null;
  is_paused: boolean;
  paused_note: string | null;
  paused_by: string | null;
  paused_at: string | null;
  created_at: string;
}

export interface TenantIn {
  timezone?: string;
  default_max_triggers?: number;
  min_poll_interval_min?: number;
  min_heartbeat_interval?: number;
  max_webhook_rate?: number;
  max_webhook_body_bytes?: number;
  max_tokens_per_day?: number | null;
  max_invocations_per_hour?: number | null;
  max_concurrent_runs?: number | null;
  cost_budget_per_month?: number | null;
  alert_quiet_hours?: string | null;
  alert_remind_minutes?: number | null;
  keep_firings_days?: number | null;
  keep_invocations_days?: number | null;
  keep_deliveries_days?: number | null;
  keep_messages_days?: number | null;
  keep_notifications_days?: number | null;
  keep_audit_days?: number | null;
  name: string;
}

export interface TenantPage {
  items: Array<TenantOut>;
  next: string | null;
}

export interface TenantPatch {
  timezone?: string;
  default_max_triggers?: number;
  min_poll_interval_min?: number;
  min_heartbeat_interval?: number;
  max_webhook_rate?: number;
  max_webhook_body_bytes?: number;
  max_tokens_per_day?: number | null;
  max_invocations_per_hour?: number | null;
  max_concurrent_runs?: number | null;
  cost_budget_per_month?: number | null;
  alert_quiet_hours?: string | null;
  alert_remind_minutes?: number | null;
  keep_firings_days?: number | null;
  keep_invocations_days?: number | null;
  keep_deliveries_days?: number | null;
  keep_messages_days?: number | null;
  keep_notifications_days?: number | null;
  keep_audit_days?: number | null;
  name?: string;
}

export interface PauseOut {
  is_paused: boolean;
  paused_note: string | null;
  paused_by: string | null;
  paused_at: string | null;
}

export interface PausesOut {
  tenant: PauseOut;
  service: PauseOut;
}

export interface PauseIn {
  note?: string | null;
  everything?: boolean;
}

export interface ResumeIn {
  everything?: boolean;
}

export interface AlertPage {
  items: Array<AlertOut>;
  next: string | null;
}

export interface AlertOut {
  id: string;
  rule: string;
  subject_kind: string;
  subject_id: string;
  subject_name: string;
  agent_id: string | null;
  reason: string;
  advice: string;
  looks: number;
  opened_at: string;
  seen_at: string;
  told_at: string | null;
  closed_at: string | null;
}

export interface BadgeOut {
  url: string;
}

export interface MuteOut {
  id: string;
  rule: string | null;
  subject_kind: string | null;
  subject_id: string | null;
  subject_name: string | null;
  until: string | null;
  note: string | null;
  created_by: string;
  created_at: string;
}

export interface MuteIn {
  rule?: string | null;
  subject_id?: string | null;
  until?: string | null;
  note?: string | null;
}

export interface MutePage {
  items: Array<MuteOut>;
  next: string | null;
}

export interface HookOut {
  ok: boolean;
}

export interface ReceiptOut {
  firing_id: string | null;
  duplicate: boolean;
  filtered: boolean;
}

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  field: string | null;
  errors: Array<FieldError> | null;
}

export interface FieldError {
  field: string;
  rule: string;
  message: string;
}
