export * from './data-alarms';
export * from './platform-alarms';
export * from './platform-dashboard';
