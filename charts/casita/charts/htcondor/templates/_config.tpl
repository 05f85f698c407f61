{{/* HTCondor's configuration. Knobs: https://htcondor.readthedocs.io/en/v23_0/admin-manual/. */}}
{{- define "htcondor.config.common" -}}
{{- $batch := .Values.global.batch -}}
RELEASE_DIR = /usr
LIB = /usr/lib/condor
LIBEXEC = /usr/libexec/condor
SHARE = /usr/share/condor
LOCAL_DIR = /var/lib/condor
RUN = $(LOCAL_DIR)/run
LOG = $(LOCAL_DIR)/log
LOCK = $(LOCAL_DIR)/lock
EXECUTE = $(LOCAL_DIR)/execute

# Everything goes through one port.
USE_SHARED_PORT = True
SHARED_PORT_PORT = 9618
DEFAULT_DOMAIN_NAME = casita.nodes
FILESYSTEM_DOMAIN = $(FULL_HOSTNAME)
TRUST_DOMAIN = {{ $batch.trustDomain }}
UID_DOMAIN = {{ $batch.uidDomain }}
TRUST_UID_DOMAIN = True

# Who nobody knows gets nothing, not even an answer to a question.
use security:recommended_v9_0
SEC_READ_AUTHENTICATION = REQUIRED
SEC_CLIENT_AUTHENTICATION = REQUIRED
SEC_DEFAULT_AUTHENTICATION_METHODS = IDTOKENS
SEC_CLIENT_AUTHENTICATION_METHODS = IDTOKENS
ALLOW_READ = condor@$(UID_DOMAIN)
ALLOW_WRITE = condor@$(UID_DOMAIN)
ALLOW_DAEMON = condor@$(UID_DOMAIN)
ALLOW_NEGOTIATOR = condor@$(UID_DOMAIN)
ALLOW_ADMINISTRATOR = condor@$(UID_DOMAIN)
# Tokens come from casita alone. HTCondor would give out some of its own that never end.
SEC_ENABLE_TOKEN_FETCH = False
SEC_ENABLE_TOKEN_REQUEST = False

# A machine or a queue is known again soon after the other end was restarted.
UPDATE_INTERVAL = 10

# What belongs to a machine, not to a pod.
ENABLE_KERNEL_TUNING = False
DISCARD_SESSION_KEYRING_ON_STARTUP = False
MAIL = /bin/true
CONDOR_ADMIN =
{{- end }}

{{- define "htcondor.config.accessPoint" -}}
{{ include "htcondor.config.common" . }}

DAEMON_LIST = MASTER COLLECTOR NEGOTIATOR SCHEDD
# Its own Service has no endpoint yet when the first update is due.
COLLECTOR_HOST = $(IP_ADDRESS):9618
SCHEDD_NAME = {{ include "casita.batch.schedd" . }}
SPOOL = $(LOCAL_DIR)/spool/queue

SEC_PASSWORD_DIRECTORY = /run/casita/keys
# No key but those of casita: this one could not be made, and is not there.
SEC_TOKEN_POOL_SIGNING_KEY_FILE = /run/casita/keys/POOL
COLLECTOR_BOOTSTRAP_SSL_CERTIFICATE = False
# Tools in this pod are condor@password, by the key itself.
ALLOW_READ = *@$(UID_DOMAIN) condor@password
ALLOW_WRITE = condor@$(UID_DOMAIN) condor@password
SCHEDD.ALLOW_WRITE = *@$(UID_DOMAIN) condor@password
ALLOW_ADMINISTRATOR = condor@password
QUEUE_SUPER_USERS = condor
# HTCondor takes a token without an end or a limit for one that has none. Those that daemons and
# tools in this pod make for themselves are such.
SEC_TOKEN_REVOCATION_EXPR = ( ! regexp("^condor@", sub) && ( exp =?= undefined || jti =?= undefined || ! regexp("condor:/", scope) ) ){{ with .Values.revocation }} || ( {{ . }} ){{ end }}

{{ include "htcondor.config.contain" . }}

{{ include "htcondor.config.groups" . }}

# A job starts within seconds. A submission asks for a cycle at once, while the job is still being
# spooled; HTCondor's own settings would let it wait 20 s for the next.
NEGOTIATOR_INTERVAL = 5
NEGOTIATOR_CYCLE_DELAY = 1
NEGOTIATOR_MIN_INTERVAL = 1
SCHEDD_INTERVAL = 5
SCHEDD_MIN_INTERVAL = 1
{{- end }}

{{/* Nothing of a user runs at the access point, and nothing is read or written there for a user but
     what lies in the job's own spool folder: the pod has the signing keys, and everybody's files
     under one account. Each line closes a way that worked without it (tests/e2e/test_htcondor.py). */}}
{{- define "htcondor.config.contain" -}}
START_LOCAL_UNIVERSE = False
START_SCHEDULER_UNIVERSE = False
SCHEDD_ALLOW_LATE_MATERIALIZE = False
ENABLE_SSH_TO_JOB = False
# Shadows always may use the folder of their own job.
SHADOW.LIMIT_DIRECTORY_ACCESS = /var/empty

# Names of files that the schedd itself would write to or send: none, or names that stay what they
# are when looked at. What removes other jobs does not ask whose they are.
JOB_TRANSFORM_NAMES = Contain
JOB_TRANSFORM_Contain @=end
  DELETE UserLog
  DELETE DAGManNodesLog
  DELETE SpooledOutputFiles
  DELETE OutputDestination
  DELETE CheckpointDestination
  DELETE PublicInputFiles
  DELETE x509userproxy
  DELETE OtherJobRemoveRequirements
  DELETE StageInStart
  DELETE StageInFinish
  EVALSET Out ifThenElse(isString(Out), Out, undefined)
  EVALSET Err ifThenElse(isString(Err), Err, undefined)
  EVALSET TransferOutput ifThenElse(isString(TransferOutput), TransferOutput, undefined)
@end

SUBMIT_REQUIREMENT_NAMES = $(SUBMIT_REQUIREMENT_NAMES) Vanilla Spooled Outputs
SUBMIT_REQUIREMENT_Vanilla = JobUniverse =?= 5
SUBMIT_REQUIREMENT_Vanilla_REASON = "only jobs of the vanilla universe are accepted"
SUBMIT_REQUIREMENT_Spooled = JobStatus =?= 5 && HoldReasonCode =?= 16
SUBMIT_REQUIREMENT_Spooled_REASON = "the pool has no files of yours; submit with -spool"
SUBMIT_REQUIREMENT_Outputs = TransferOutput =?= undefined || ! regexp("(^|,)[ ]*/|[.][.]", TransferOutput)
SUBMIT_REQUIREMENT_Outputs_REASON = "transfer_output_files must be inside the job's folder"
PROTECTED_JOB_ATTRS = $(PROTECTED_JOB_ATTRS) Iwd Cmd In Out Err UserLog DAGManNodesLog TransferInput TransferOutput TransferOutputRemaps SpooledOutputFiles OutputDestination CheckpointDestination PublicInputFiles x509userproxy OtherJobRemoveRequirements StageInStart StageInFinish
IMMUTABLE_JOB_ATTRS = $(IMMUTABLE_JOB_ATTRS) JobUniverse
{{- end }}

{{/* A job's group decides whose share it runs on. The negotiator would take one that nobody knows,
     or another's name in it, for a user of its own with a priority as good as new; so both are
     refused, with words. Attributes: "accounting_group" in
     https://htcondor.readthedocs.io/en/v23_0/man-pages/condor_submit.html, shares: GROUP_NAMES in
     https://htcondor.readthedocs.io/en/v23_0/admin-manual/configuration-macros.html. */}}
{{- define "htcondor.config.groups" -}}
{{- $names := list -}}
{{- range .Values.accountingGroups }}{{ $names = append $names .name }}{{ end -}}
{{- if $names -}}
GROUP_NAMES = {{ join ", " $names }}
# What a group leaves unused is for the others.
GROUP_ACCEPT_SURPLUS = True
{{- range .Values.accountingGroups }}
{{- if .share }}
GROUP_QUOTA_DYNAMIC_{{ .name }} = {{ .share }}
{{- end }}
{{- end }}
{{ end -}}
# An expression could be another name the next time that it is looked at.
JOB_TRANSFORM_NAMES = $(JOB_TRANSFORM_NAMES) Group
JOB_TRANSFORM_Group @=end
  EVALSET AccountingGroup ifThenElse(isString(AccountingGroup), AccountingGroup, undefined)
@end
SUBMIT_REQUIREMENT_NAMES = $(SUBMIT_REQUIREMENT_NAMES) Group GroupUser
SUBMIT_REQUIREMENT_Group = AccountingGroup =?= undefined || stringListIMember(AcctGroup, {{ join "," $names | quote }}) =?= True
SUBMIT_REQUIREMENT_Group_REASON = strcat("accounting group ", ifThenElse(isString(AcctGroup), AcctGroup, AccountingGroup), {{ printf " is none of this pool's: %s" (join ", " $names | default "it has no groups") | quote }})
SUBMIT_REQUIREMENT_GroupUser = AccountingGroup =?= undefined || AccountingGroup =?= strcat(AcctGroup, ".", Owner)
SUBMIT_REQUIREMENT_GroupUser_REASON = "accounting_group_user must be your own name"
PROTECTED_JOB_ATTRS = $(PROTECTED_JOB_ATTRS) AccountingGroup AcctGroup AcctGroupUser
{{- end }}

{{- define "htcondor.config.execute" -}}
{{ include "htcondor.config.common" . }}

DAEMON_LIST = MASTER STARTD
COLLECTOR_HOST = {{ include "casita.batch.collector" . }}

# The access point proves itself by what it was given with the match; nobody else can.
SEC_TOKEN_SYSTEM_DIRECTORY = /run/casita/tokens

NUM_CPUS = {{ int .Values.execute.cpus }}
MEMORY = {{ int .Values.execute.memoryMiB }}
NUM_SLOTS = 1
NUM_SLOTS_TYPE_1 = 1
SLOT_TYPE_1 = 100%
SLOT_TYPE_1_PARTITIONABLE = True
# Jobs without a core would be more than there are accounts.
START = TARGET.RequestCpus >= 1
SUSPEND = False
PREEMPT = False
KILL = False
MachineMaxVacateTime = {{ int .Values.execute.stopSeconds }}
RUNBENCHMARKS = 0
use policy:hold_if_memory_exceeded

# Each job has an account of its own while it runs: it sees nothing of others, and whatever it
# leaves behind is found and killed. Slots that are being cleaned up need one as well.
STARTER_ALLOW_RUNAS_OWNER = False
DEDICATED_EXECUTE_ACCOUNT_REGEXP = slot[0-9]+
SLOT1_USER = slot1
{{- range $number := until (mul 2 (int .Values.execute.cpus) | int) }}
SLOT1_{{ add1 $number }}_USER = slot{{ add1 $number }}
{{- end }}
# They would need rights over mounts and control groups.
BASE_CGROUP =
MOUNT_UNDER_SCRATCH =
# Jobs ask nothing of the access point while they run.
ENABLE_CHIRP = False
{{- end }}
